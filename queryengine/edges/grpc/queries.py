"""The RPCs about queries: parse, call the use case, convert."""

from collections import Counter

from queryengine.accepting.cancelling import Cancelling, CancelResult
from queryengine.accepting.explaining import Explaining
from queryengine.accepting.listing import Listing
from queryengine.accepting.looking import Looking
from queryengine.accepting.releasing import Releasing
from queryengine.accepting.submit_call import SubmitCall
from queryengine.accepting.submitting import Submitted, Submitting
from queryengine.edges.grpc import convert
from queryengine.edges.grpc.call import Caller, Unary
from queryengine.edges.grpc.explanations import explanation
from queryengine.edges.grpc.fields import microseconds
from queryengine.edges.grpc.filters import to_cancelled, to_filter
from queryengine.edges.grpc.fitting import embedded, fitting
from queryengine.edges.grpc.framing import page_message
from queryengine.edges.grpc.page_tokens import list_token, listed_before
from queryengine.edges.grpc.requests import (
    LimitsInForce,
    Mode,
    as_rows,
    cancel_reason,
    is_full,
    submitted_id,
    to_list_size,
    to_mode,
    to_submission,
    wait_seconds,
)
from queryengine.edges.grpc.statuses import Statuses
from queryengine.policy.rights import sees_named_text
from queryengine.v1 import query_service_pb2 as pb


class QueryRpcs:
    """Submit, GetStatus, Cancel, CancelQueries, ListQueries and ReleaseResults."""

    def __init__(
        self,
        *,
        submitting: Submitting,
        explaining: Explaining,
        looking: Looking,
        cancelling: Cancelling,
        listing: Listing,
        releasing: Releasing,
        statuses: Statuses,
        limits: LimitsInForce,
    ) -> None:
        self._submitting = submitting
        self._explaining = explaining
        self._looking = looking
        self._cancelling = cancelling
        self._listing = listing
        self._releasing = releasing
        self._statuses = statuses
        self._limits = limits

    def behaviours(self) -> dict[str, Unary]:
        return {
            "Submit": self.submit,
            "GetStatus": self.get_status,
            "Cancel": self.cancel,
            "CancelQueries": self.cancel_queries,
            "ListQueries": self.list_queries,
            "ReleaseResults": self.release_results,
        }

    async def submit(self, request: pb.SubmitRequest, caller: Caller) -> bytes:
        limits = self._limits.now
        wait = wait_seconds(request, limits)
        inline_as_rows = as_rows(request.result.inline_format, "inline_format")
        call = SubmitCall(
            query_id=submitted_id(request.query_id),
            principal=caller.principal,
            submission=to_submission(
                request, caller.tenant, caller.principal.subject, limits, api_key=caller.principal.api_key
            ),
            wait_seconds=wait,
            inline_as_rows=inline_as_rows,
            leave_turn=caller.leave_turn,
            allow=None if caller.trail is None else caller.trail.allow_submission,
        )
        mode = to_mode(request)
        if mode is not Mode.RUN:
            found = await self._explaining.explain(call, estimates=mode is Mode.EXPLAIN)
            return pb.SubmitResponse(explanation=explanation(found)).SerializeToString()
        return self._submit_response(await self._submitting.submit(call))

    async def get_status(self, request: pb.GetStatusRequest, caller: Caller) -> pb.GetStatusResponse:
        full = is_full(request)
        live = await self._looking.status(
            caller.principal,
            request.query_id,
            after_version=request.after_version,
            wait_seconds=wait_seconds(request, self._limits.now),
            leave_turn=caller.leave_turn,
        )
        details = None
        if full:
            shows_named = sees_named_text(caller.principal)
            details = convert.details(await self._looking.recorded(live), shows_named=shows_named)
        return pb.GetStatusResponse(status=self._statuses.of(live), details=details)

    async def cancel(self, request: pb.CancelRequest, caller: Caller) -> pb.CancelResponse:
        done = await self._cancelling.cancel(
            caller.principal,
            request.query_id,
            reason=cancel_reason(request),
            wait_seconds=wait_seconds(request, self._limits.now),
            leave_turn=caller.leave_turn,
            record=caller.record,
        )
        return pb.CancelResponse(
            result=convert.CANCEL_RESULTS[done.result],
            engine_cancel=convert.ENGINE_CANCELS[done.live.engine_cancel],
            status=self._statuses.of(done.live),
        )

    async def cancel_queries(self, request: pb.CancelQueriesRequest, caller: Caller) -> pb.CancelQueriesResponse:
        done = await self._cancelling.cancel_matching(
            caller.principal,
            to_cancelled(request),
            reason=cancel_reason(request),
            wait_seconds=wait_seconds(request, self._limits.now),
            leave_turn=caller.leave_turn,
            record=caller.record,
        )
        counts = Counter(each.result for each in done.queries)
        return pb.CancelQueriesResponse(
            cancelled=counts[CancelResult.CANCELLED],
            cancelling=counts[CancelResult.CANCELLING],
            already_ended=counts[CancelResult.ALREADY_ENDED],
            left=done.left,
            query_ids=[each.live.query.query_id for each in done.queries],
        )

    async def list_queries(self, request: pb.ListQueriesRequest, caller: Caller) -> pb.ListQueriesResponse:
        size = to_list_size(request)
        found = await self._listing.list(
            caller.principal, to_filter(request), before=listed_before(request.page_token), limit=size + 1
        )
        reply = pb.ListQueriesResponse(queries=fitting(self._statuses.of(live) for live in found[:size]))
        if len(reply.queries) < len(found):
            last = found[len(reply.queries) - 1].query
            reply.next_page_token = list_token(last.submit_us, last.query_id)
        return reply

    async def release_results(self, request: pb.ReleaseResultsRequest, caller: Caller) -> pb.ReleaseResultsResponse:
        if request.HasField("extend_to"):
            until_us = microseconds(request.extend_to)
            live = await self._releasing.extend(caller.principal, request.query_id, until_us, record=caller.record)
        else:
            live = await self._releasing.release(caller.principal, request.query_id, record=caller.record)
        return pb.ReleaseResultsResponse(status=self._statuses.of(live))

    def _submit_response(self, submitted: Submitted) -> bytes:
        inline = submitted.inline
        response = pb.SubmitResponse(status=self._statuses.of(submitted.live), existing=submitted.existing)
        if inline is None:
            return response.SerializeToString()
        response.next_row = inline.next_row
        if inline.is_all:
            response.end.CopyFrom(convert.result_end(response.status, inline.totals, inline.attempt))
        parts = [response.SerializeToString(), embedded(pb.SubmitResponse, "schema", inline.schema)]
        return b"".join([*parts, *(embedded(pb.SubmitResponse, "pages", page_message(page)) for page in inline.pages)])
