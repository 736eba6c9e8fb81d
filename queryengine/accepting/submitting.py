"""Submit a statement, wait for its end if that is asked for, and answer with its first rows."""

import asyncio
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from queryengine.accepting.admitting import Admitting
from queryengine.accepting.known import Known, require_seen
from queryengine.accepting.recording import Recording
from queryengine.accepting.resolving import Resolving
from queryengine.accepting.submit_call import SubmitCall
from queryengine.domain.clock import Clock
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.query import Query
from queryengine.domain.submission import Submission
from queryengine.live.query import Key, LiveQuery
from queryengine.policy.planner import Planner
from queryengine.policy.rights import Right, has, require
from queryengine.policy.row_security.policies import Policies
from queryengine.reading.fetching import Fetching, InlineRows


@dataclass(frozen=True, slots=True)
class Submitted:
    """The answer to a Submit."""

    live: LiveQuery
    existing: bool
    """The id was submitted before, with an equal submission."""
    inline: InlineRows | None
    """The first rows, of a query that completed within the time to wait; None when they cannot be
    read, or the caller may not read."""


class Submitting:
    """The whole of Submit."""

    def __init__(
        self,
        *,
        known: Known,
        resolving: Resolving,
        admitting: Admitting,
        planner: Planner,
        recording: Recording,
        fetching: Fetching,
        policies: Policies,
        clock: Clock,
    ) -> None:
        self._known = known
        self._resolving = resolving
        self._admitting = admitting
        self._planner = planner
        self._recording = recording
        self._fetching = fetching
        self._policies = policies
        self._clock = clock
        self._in_hand: dict[Key, asyncio.Future[None]] = {}
        """Submits that are not decided, by the key of their query."""

    async def submit(self, call: SubmitCall) -> Submitted:
        """The query, durable. Safe to repeat and to leave at any moment: one whose caller leaves before its record is
        begun leaves nothing. Whoever waits for the end counts as a reader; an end within the time is no failure,
        whatever it is.

        Raises ROLE_MISSING, what Resolving, Planner and Admitting raise, QUERY_ID_REUSED, RECORDS_FULL,
        STORE_UNAVAILABLE when nothing could be written, and RESULT_RESTRICTED for rows of an earlier Submit that the
        caller may not see.
        """
        require(call.principal, call.right)
        live, existing = await self._accepted(call)
        inline: InlineRows | None = None
        if call.wait_seconds:
            call.leave_turn()
            with live.readers.present():
                await live.wait_until_final(call.wait_seconds)
            if live.query.state is QueryState.COMPLETED and has(call.principal, Right.READ):
                self._policies.require_same(call.principal, live.query)
                inline = await self._fetching.inline(live, as_rows=call.inline_as_rows)
        return Submitted(live, existing, inline)

    async def all_decided(self, timeout_seconds: float) -> None:
        """Return when every Submit that has begun is decided, or when the time has passed."""
        if self._in_hand:
            await asyncio.wait(list(self._in_hand.values()), timeout=timeout_seconds)

    async def _accepted(self, call: SubmitCall) -> tuple[LiveQuery, bool]:
        """The query of a call, and whether it was there before. Calls with one id are decided one after the other."""
        if not call.submission.named_query:
            call.outline = self._planner.outline(call.principal, call.submission)
        is_chosen = bool(call.query_id)
        call.query_id = call.query_id or str(uuid.uuid4())
        key = call.key
        if is_chosen:
            while key in self._in_hand:
                await asyncio.wait([self._in_hand[key]])
            found = self._known.in_memory(call)
            if found is not None:
                return found, True
        # No second Submit of the id gets past the mark meanwhile.
        self._in_hand[key] = asyncio.get_running_loop().create_future()
        try:
            return await (self._accept(call) if is_chosen else self._accept_new(call))
        finally:
            if not call.is_recorded:
                self._decided(key)

    def _decided(self, key: Key) -> None:
        self._in_hand.pop(key).set_result(None)

    async def _accept(self, call: SubmitCall) -> tuple[LiveQuery, bool]:
        """The query of an id that the caller chose and that is not in memory: an old one from the store, or a new
        one.
        """
        old = await self._known.with_rows(call)
        if old is not None:
            return old, True
        try:
            return await self._accept_new(call)
        except QueryEngineError as refusal:
            if refusal.failure.reason in (Reason.QUERY_ID_REUSED, Reason.STORE_UNAVAILABLE):
                raise
            # What would be refused as new is answered all the same if it was submitted before.
            old = await self._known.stored(call)
            if old is None:
                raise
            return old, True

    async def _accept_new(self, call: SubmitCall) -> tuple[LiveQuery, bool]:
        submission = await self._resolved(call) if call.submission.named_query else call.submission
        with ExitStack() as until_written:
            until_written.enter_context(self._admitting.reserved(submission))
            query = await self._planned(call, submission)
            reservation = until_written.pop_all()
        call.is_recorded = True
        recording = asyncio.ensure_future(self._record(call, query, reservation))
        recording.add_done_callback(partial(self._recorded, call.key))
        try:
            # Finished whether the caller stays or not.
            return await asyncio.shield(recording)
        finally:
            # Or its exception would hold itself by this frame, and the request with it, until Python collects cycles.
            del recording

    async def _resolved(self, call: SubmitCall) -> Submission:
        """What the named query of a call stands for at this moment. The call keeps what was asked, by which it is
        recognised when it is repeated.
        """
        submission, named_query = await self._resolving.resolve(
            call.principal, call.submission, leave_turn=call.leave_turn
        )
        outline = self._planner.outline(call.principal, submission)
        call.outline = replace(outline, named_query=named_query)
        return submission

    async def _planned(self, call: SubmitCall, submission: Submission) -> Query:
        principal, leave_turn = call.principal, call.leave_turn
        routed = await self._planner.routed(principal, submission, call.outline, leave_turn=leave_turn)
        self._admitting.admit(submission, routed)
        plan, analysis = await self._planner.complete(principal, submission, routed, leave_turn=leave_turn)
        if call.allow is not None:
            call.leave_turn()
            await call.allow(call.query_id, submission, plan, analysis)
        return Query(
            query_id=call.query_id,
            submission=submission,
            plan=plan,
            fingerprint=call.submission.fingerprint(),
            query_hash=analysis.query_hash(submission.sql),
            submit_us=self._clock.now_us(),
            record_bytes=submission.record_bytes() + len(plan.executed_sql.encode("utf-8", "replace")),
        )

    async def _record(self, call: SubmitCall, query: Query, reservation: ExitStack) -> tuple[LiveQuery, bool]:
        call.leave_turn()
        with reservation:
            live, is_old = await self._recording.record(query, hold_seconds=call.wait_seconds)
        if is_old:
            require_seen(live.query, call)
        return live, is_old

    def _recorded(self, key: Key, recording: asyncio.Future[tuple[LiveQuery, bool]]) -> None:
        if not recording.cancelled():
            # Looked at here, as the caller who would have got it may be gone.
            recording.exception()
        self._decided(key)
