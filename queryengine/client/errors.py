"""What can go wrong for a caller, one class per thing to do about it, and how a gRPC failure becomes one of
them.
"""

# ruff: noqa: N818 - the names say what happened: except QueryFailed.

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from queryengine.client.authorization import AuthorizationUnavailable
from queryengine.domain.errors import Code, Position, Reason, may_retry

DETAILS_KEY: Final = "grpc-status-details-bin"

CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
"""Status codes by number."""


class QueryEngineClientError(Exception):
    """Base of them all; raised itself where no other class fits, such as a request the server refuses."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        code: grpc.StatusCode | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        metadata: Mapping[str, str] | None = None,
        query_id: str = "",
        position: Position | None = None,
        sql_state: str = "",
        transport: str = "",
    ) -> None:
        super().__init__(f"{reason}: {message}" if reason else message)
        self.message = message
        self.reason = reason
        """Name of an ErrorReason of the contract; empty when the failure comes from the transport or from
        here.
        """
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
        """Seconds to wait before trying again, when the server says."""
        self.metadata = dict(metadata or {})
        self.query_id = query_id
        self.position = position
        """Where in the SQL, when the engine says."""
        self.sql_state = sql_state
        self.transport = transport
        """Code and words of gRPC, when the failure comes from the connection."""


class QueryFailed(QueryEngineClientError):
    """The SQL is wrong, or its run ended in an error: correct the SQL, or submit again when `retryable`."""


class QueryCancelled(QueryFailed):
    """Somebody cancelled the query."""


class NotFound(QueryEngineClientError):
    """No such query, named query or API key for this tenant."""


class ResultUnavailable(QueryEngineClientError):
    """The rows asked for are not there, or not any more (expired, released, lost, another attempt): the
    reason says whether to wait, to read again from row 0, or to submit again.
    """


class ResultCorrupt(QueryEngineClientError):
    """What arrived contradicts itself: a checksum, a gap between rows, or fewer rows than the total. Never
    trust the batches read so far.
    """


class LimitReached(QueryEngineClientError):
    """The tenant has used up what it may: try again after `retry_after`."""


class AccessDenied(QueryEngineClientError):
    """Who asks is not known to the server, or may not do this: the reason says which. Send a valid credential, or have
    somebody grant the role.
    """


class ServiceUnavailable(QueryEngineClientError):
    """No server answers, also after trying again: nothing is known to be wrong with the request."""


CLASSES: Final[Mapping[str, type[QueryEngineClientError]]] = {
    **dict.fromkeys(
        (
            Reason.INVALID_FIELD,
            Reason.REQUEST_TOO_LARGE,
            Reason.QUERY_ID_REUSED,
            Reason.NAMED_QUERY_EXISTS,
            Reason.NAMED_QUERY_CHANGED,
        ),
        QueryEngineClientError,
    ),
    Reason.QUERY_CANCELLED: QueryCancelled,
    **dict.fromkeys((Reason.QUERY_NOT_FOUND, Reason.API_KEY_NOT_FOUND, Reason.NAMED_QUERY_NOT_FOUND), NotFound),
    **dict.fromkeys(
        (
            Reason.RESULT_NOT_READY,
            Reason.RESULT_EXPIRED,
            Reason.RESULT_RELEASED,
            Reason.RESULT_LOST,
            Reason.RESULT_RESTARTED,
            Reason.ROW_PAST_END,
        ),
        ResultUnavailable,
    ),
    **dict.fromkeys(
        (
            Reason.TENANT_QUEUE_FULL,
            Reason.TENANT_STREAM_LIMIT,
            Reason.TENANT_BUSY,
            Reason.SPOOL_FULL,
            Reason.RECORDS_FULL,
            Reason.API_KEY_LIMIT,
            Reason.NAMED_QUERY_LIMIT,
        ),
        LimitReached,
    ),
    **dict.fromkeys(
        (
            Reason.CREDENTIAL_MISSING,
            Reason.CREDENTIAL_INVALID,
            Reason.TOKEN_EXPIRED,
            Reason.TENANT_MISMATCH,
            Reason.ROLE_MISSING,
            Reason.RESULT_RESTRICTED,
            Reason.ENGINE_HINT_REFUSED,
            Reason.POLICY_DENIED,
        ),
        AccessDenied,
    ),
    **dict.fromkeys(
        (
            Reason.SERVER_DRAINING,
            Reason.STORE_UNAVAILABLE,
            Reason.SANDBOX_UNAVAILABLE,
            Reason.READER_STALLED,
            Reason.AUTHENTICATION_UNAVAILABLE,
            Reason.AUDIT_UNAVAILABLE,
            Reason.POLICY_UNAVAILABLE,
        ),
        ServiceUnavailable,
    ),
}
"""Of a reason: its class. Every other reason is a QueryFailed."""

TRANSPORT_CODES: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)
"""Codes that, without a reason of ours, are about the connection and not about the query."""

DENYING_CODES: Final = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
"""Codes that, without a reason of ours, a proxy gives that knows who may call."""

PASSING_REASONS: Final = frozenset(
    {
        Reason.SERVER_DRAINING,
        Reason.STORE_UNAVAILABLE,
        Reason.SANDBOX_UNAVAILABLE,
        Reason.READER_STALLED,
        Reason.TENANT_STREAM_LIMIT,
        Reason.TENANT_BUSY,
        Reason.AUTHENTICATION_UNAVAILABLE,
        Reason.AUDIT_UNAVAILABLE,
        Reason.POLICY_UNAVAILABLE,
    }
)
"""Reasons that are about this call at this moment, and not about the query."""


@dataclass(frozen=True, slots=True)
class RpcFailure:
    """A non-OK status, with what its details hold."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    target: str = ""
    """Where the call went."""
    is_own: bool = False
    """Whether the call was not made, as there was nothing to show who makes it."""
    may_renew: bool = False
    """Whether the next call may show another authorization."""

    @property
    def is_refusal(self) -> bool:
        """Whether the server did not accept who called."""
        return self.code is grpc.StatusCode.UNAUTHENTICATED

    @property
    def is_passing(self) -> bool:
        """Whether the same call may soon go well, whatever became of the query."""
        if self.is_refusal:
            return self.may_renew
        return self.reason in PASSING_REASONS if self.reason else self.code in TRANSPORT_CODES

    def to_error(self, query_id: str = "") -> QueryEngineClientError:
        if not self.reason:
            lost = self.code in TRANSPORT_CODES
            kind = (
                ServiceUnavailable if lost else AccessDenied if self.code in DENYING_CODES else QueryEngineClientError
            )
            if self.is_own:
                return kind(self.message, code=self.code, retryable=lost, query_id=query_id)
            said = f"{self.code.name}: {self.message}"
            text = self._transport_text(said)
            return kind(text, code=self.code, retryable=lost, query_id=query_id, transport=said)
        return CLASSES.get(self.reason, QueryFailed)(
            self.message,
            reason=self.reason,
            code=self.code,
            retryable=may_retry(self.reason, self.metadata),
            retry_after=self.retry_after,
            metadata=self.metadata,
            query_id=query_id,
            position=_position(self.metadata),
            sql_state=self.metadata.get("sql_state", ""),
        )

    def _transport_text(self, said: str) -> str:
        """What a status without a reason means, which comes from gRPC and not from the service."""
        target = place_of(self.target) if self.target else "the server"
        match self.code:
            case grpc.StatusCode.UNAVAILABLE:
                return f"nothing answers at {target}; {START_HINT} ({said})"
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return f"nothing answers at {target} in the time that the call may take; {START_HINT} ({said})"
            case grpc.StatusCode.UNIMPLEMENTED:
                return f"what answers at {target} is not a queryengine server; {START_HINT} ({said})"
            case code if code in TRANSPORT_CODES:
                return f"the connection to {target} failed ({said})"
            case _:
                return f"{target} refused the call ({said})"


def place_of(target: str) -> str:
    """The target as messages name it; with the port that gRPC takes when it has none."""
    return target if ":" in target else f"{target}:443 (no port is given)"


START_HINT: Final = "start a server with `queryengine serve`, or use the address that it prints after gRPC"


def rpc_failure(error: grpc.RpcError, target: str = "") -> RpcFailure:
    """What a gRPC exception says, of the synchronous and of the asyncio kind."""
    if isinstance(error, AuthorizationUnavailable):
        return RpcFailure(grpc.StatusCode.UNAVAILABLE, str(error), target=target, is_own=True)
    code, message = error.code(), error.details() or ""
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == DETAILS_KEY:
            return _with_details(RpcFailure(code, message, target=target), value)
    return RpcFailure(code, message, target=target)


def status_code(number: int) -> grpc.StatusCode:
    return CODES.get(number, grpc.StatusCode.UNKNOWN)


def _with_details(failure: RpcFailure, details: bytes) -> RpcFailure:
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    try:
        status = status_pb2.Status.FromString(details)
        for detail in status.details:
            # Unpack leaves the message alone when the detail is of another type.
            _ = detail.Unpack(info) or detail.Unpack(retry)
    except DecodeError:
        return failure
    if info.domain != "queryengine":
        return failure
    retry_after = retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None
    return replace(failure, reason=info.reason, metadata=dict(info.metadata), retry_after=retry_after)


def _position(metadata: Mapping[str, str]) -> Position | None:
    line, column = metadata.get("line", ""), metadata.get("column", "")
    return Position(int(line), int(column)) if line.isdecimal() and column.isdecimal() else None


def query_failed(
    *,
    code: int,
    reason: str,
    message: str,
    retryable: bool,
    position: Position | None,
    sql_state: str,
    query_id: str,
) -> QueryFailed:
    """The exception for the error in a query's status."""
    kind = QueryCancelled if code == Code.CANCELLED else QueryFailed
    return kind(
        message,
        reason=reason,
        code=status_code(code),
        retryable=retryable,
        position=position,
        sql_state=sql_state,
        query_id=query_id,
    )
