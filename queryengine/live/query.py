"""One query in the memory of its server: the newest record, what is known of its progress, and who waits for a change.

Every change goes through a method that makes the version grow and wakes whoever waits.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.query import Query
from queryengine.engines.base import Progress
from queryengine.live.first_write import FirstWrite
from queryengine.live.pulse import Pulse
from queryengine.live.readers import Readers
from queryengine.live.remaining import remaining_us
from queryengine.results.index import PageIndex

Key = tuple[str, str]
"""Tenant and query id."""


class EngineCancel(StrEnum):
    """What is known of the engine's side of a cancel."""

    NOT_RUNNING = "not_running"
    SENT = "sent"
    CONFIRMED = "confirmed"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run is to stop, and what its query is then."""

    failure: Failure
    ends_as: QueryState
    """CANCELLED, FAILED, or QUEUED to run again."""


def cancelled(reason: str) -> Failure:
    """The failure of a query that somebody cancelled."""
    metadata = {"cancel_reason": reason} if reason else {}
    message = f"the query was cancelled: {reason}" if reason else "the query was cancelled"
    return Failure(Reason.QUERY_CANCELLED, message, metadata)


def server_lost(attempt: int) -> Failure:
    """The failure of a query whose server stopped while it ran."""
    message = "the server stopped while the query ran; submit the query again"
    return Failure(Reason.SERVER_LOST, message, {"attempt": str(attempt)})


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where a query waits. The guesses are None when there is nothing to guess from."""

    position: int
    depth: int
    reason: str = ""
    """Why the engine takes no query at present, which limit keeps it waiting, or who has held the slots for long; else
    empty.
    """
    start_us: int | None = None
    end_us: int | None = None


class LiveQuery:
    """A query as its server knows it. Ended queries stay here for a while, because clients ask for them soon after."""

    def __init__(
        self,
        query: Query,
        ended: Callable[[Query], None] = lambda _: None,
        note: Callable[[Key, bool], None] = lambda _, __: None,
    ) -> None:
        """`ended` is called once, when the query reaches its final state, before anybody is woken for it; `note` for
        every change but of its place in the queue, and says whether it is to be seen at once: it is not mere progress.
        """
        self.query = _kept(query)
        self._ended = ended
        self._note = note
        self.version = query.version
        self.first_write: FirstWrite | None = None
        """Of a new query, until it is durable."""
        self.run: asyncio.Task[None] | None = None
        """Its run, from its slot to its final state or back to the queue."""
        self.progress = Progress()
        self.place: QueuePlace | None = None
        """As of `refresh_place`."""
        self._find_place: Callable[[LiveQuery], QueuePlace] | None = None
        self.limit_wait: Callable[[], int] | None = None
        """While it waits, for how long limits have kept it waiting, in microseconds; None before it does."""
        self.expected_us: int | None = None
        """Guess of how long the current run takes, from earlier runs of the same SQL, made when it began."""
        self.index: PageIndex | None = None
        """Pages of the current attempt; None before it began, and until somebody reads an ended query."""
        self.metered_bytes = 0
        """What the spool meter counts for the current attempt."""
        self.stop: Stop | None = None
        """Why the current run is to stop."""
        self.cancel_wish: Stop | None = None
        """The wish to cancel, which outlives a run."""
        self._stop_asked: asyncio.Future[Stop] | None = None
        self.engine_cancel = EngineCancel.NOT_RUNNING
        self.readers = Readers()
        self.pulse = Pulse()
        """Beats on every change of state, progress or pages."""

    @property
    def key(self) -> Key:
        return self.query.tenant, self.query.query_id

    @property
    def is_final(self) -> bool:
        return self.query.is_final

    @property
    def is_refused(self) -> bool:
        """Whether it was not accepted: nobody is to hear of it."""
        return self.first_write is not None and self.first_write.is_refused

    @property
    def engine_query_id(self) -> str:
        return self.progress.engine_query_id or self.query.engine_query_id

    @property
    def engine_query_url(self) -> str:
        return self.progress.engine_query_url or self.query.engine_query_url

    def throttled_us(self) -> int:
        """For how long limits of its tenant, subject or API key have kept it waiting so far."""
        if self.limit_wait is not None and self.query.state is QueryState.QUEUED:
            return self.limit_wait()
        return self.query.throttled_us

    def expected_end_us(self, now_us: int) -> int | None:
        """Guess of when the current run ends, from the part that is done, else from earlier runs; None without either.
        Never before now, nor after the time that it may take.
        """
        start_us, fraction = self.query.start_us, self.progress.fraction
        if start_us is None:
            return None
        elapsed_us, limit_us = max(0, now_us - start_us), self.query.plan.execution_timeout_ms * 1000
        if fraction:
            # As a float, which may be far beyond any time.
            return now_us + int(max(0, min(elapsed_us / fraction, limit_us) - elapsed_us))
        if self.expected_us is None:
            return None
        return now_us + remaining_us(self.expected_us, elapsed_us, limit_us)

    def take(self, query: Query) -> None:
        """Adopt a newer record; an older one, which a late answer of the store may be, changes nothing. Nor does one
        that was written before an end that was already reported.
        """
        if query.version > self.query.version and (query.is_final or not self.is_final):
            # A completion that watchers were sent before it was written is no change for them when it is.
            is_known = self.is_final and _outcome(query) == _outcome(self.query)
            self._adopt(query)
            if query.state is not QueryState.QUEUED:
                self.place = None
            self._grown(query.version)
            if not is_known:
                self._note(self.key, True)

    def replace(self, query: Query) -> None:
        """Adopt another record while nobody has heard of the query."""
        self.query = _kept(query)

    def amend(self, **facts: Any) -> None:
        """Change facts that are written with the final state only, such as rows so far."""
        state, result_state = self.query.state, self.query.result_state
        self._adopt(self.query.but(**facts))
        self._grown()
        self._note(self.key, self.query.state is not state or self.query.result_state is not result_state)

    def advance_progress(self, progress: Progress) -> None:
        self.progress = progress
        self._grown()
        self._note(self.key, False)

    def wait_in_queue(self, find_place: Callable[["LiveQuery"], QueuePlace] | None) -> None:
        """How to find its place while it waits; None once it is out of the queue."""
        self._find_place = find_place

    def refresh_place(self) -> None:
        """To be called before a status is made or waited for: places are worked out when somebody looks."""
        if self._find_place is not None and self.query.state is QueryState.QUEUED:
            place = self._find_place(self)
            if place != self.place:
                self.place = place
                self._grown()

    def forget_parameters(self, *, larger_than: int = 0) -> None:
        """Leave the parameters to the store, until a run needs them."""
        submission = self.query.submission
        if submission.parameters and len(submission.parameters) > larger_than:
            self.query = self.query.but(submission=submission.without_parameters())

    def pages_arrived(self) -> None:
        """Wake readers without a new version: pages are seen in the index."""
        self.pulse.beat()

    def request_stop(self, stop: Stop) -> None:
        """Ask the run to stop; the first cause stays. A cancel holds for every run that may follow, too."""
        if self.cancel_wish is None and stop.ends_as is QueryState.CANCELLED:
            self.cancel_wish = stop
        if self.stop is None:
            self.stop = stop
            if self._stop_asked is not None and not self._stop_asked.done():
                self._stop_asked.set_result(stop)

    def stop_asked(self) -> asyncio.Future[Stop]:
        """For a run that begins: done once it is asked to stop, at once when its query was before. One at a time."""
        asked = self._stop_asked = asyncio.get_running_loop().create_future()
        if self.stop is not None:
            asked.set_result(self.stop)
        return asked

    def begin_again(self) -> None:
        """Forget the run that is over: the query waits for another, unless it was cancelled meanwhile."""
        self.stop = None
        self.progress = Progress()
        self.expected_us = None
        self.engine_cancel = EngineCancel.NOT_RUNNING
        if self.cancel_wish is not None:
            self.request_stop(self.cancel_wish)

    async def wait_for_version(self, after_version: int, timeout_seconds: float) -> None:
        """Return when the version is larger, when the query has ended, or when the time passed."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        self.refresh_place()
        while self.version <= after_version and not self.is_final:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or not await self.pulse.wait(left):
                return
            self.refresh_place()

    async def wait_until_final(self, timeout_seconds: float) -> bool:
        """True when the query has ended within the time."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while not self.is_final:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or not await self.pulse.wait(left):
                return self.is_final
        return True

    def _adopt(self, query: Query) -> None:
        ends = query.is_final and not self.is_final
        self.query = _kept(query)
        if ends:
            self.readers.dismiss()
            self._ended(query)

    @property
    def held_bytes(self) -> int:
        """What the index of the result takes in memory, which is nearly all that a query takes."""
        return self.index.held_bytes if self.index is not None else 0

    def _grown(self, version: int | None = None) -> None:
        self.version = max(self.version + 1, version or 0)
        self.pulse.beat()


def _outcome(query: Query) -> tuple[object, ...]:
    """What may still change once a query has ended."""
    return query.state, query.result_state, query.expire_us, query.cancel_us


def _kept(query: Query) -> Query:
    """What stays in memory of a query: once it has ended, only what is still asked for."""
    if not query.is_final:
        return query
    submission, plan = query.submission.for_reference(), query.plan.for_reference()
    if submission is query.submission and plan is query.plan:
        return query
    return query.but(submission=submission, plan=plan)
