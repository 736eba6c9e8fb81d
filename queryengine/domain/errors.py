"""Every failure by name: what it is called on the wire, its status code, and whether trying again may help.

A Failure is a value: it travels from a worker to the server, into the state database, and out to clients. Only the
edge turns it into a gRPC status. A bug is not a Failure; it stays an ordinary exception.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, Final, Self

from queryengine.domain.texts import DETAIL_BYTES_MAX, MESSAGE_BYTES_MAX, shortened

SQL_STATE_BYTES_MAX: Final = 16
"""The standard's codes have five characters, and some drivers put others in their place."""


class Code(IntEnum):
    """google.rpc.Code, the values in use."""

    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class Reason(StrEnum):
    """The values of the contract's ErrorReason, without their prefix; documented there."""

    INVALID_FIELD = "INVALID_FIELD"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    SYNTAX_ERROR = "SYNTAX_ERROR"
    NOT_ONE_STATEMENT = "NOT_ONE_STATEMENT"
    STATEMENT_NOT_ALLOWED = "STATEMENT_NOT_ALLOWED"
    STATEMENT_TOO_COMPLEX = "STATEMENT_TOO_COMPLEX"
    STATEMENT_REJECTED = "STATEMENT_REJECTED"
    PARAMETER_MISMATCH = "PARAMETER_MISMATCH"
    UNKNOWN_ENGINE = "UNKNOWN_ENGINE"
    UNSUPPORTED = "UNSUPPORTED"
    QUERY_NOT_FOUND = "QUERY_NOT_FOUND"
    QUERY_ID_REUSED = "QUERY_ID_REUSED"
    TENANT_QUEUE_FULL = "TENANT_QUEUE_FULL"
    TENANT_STREAM_LIMIT = "TENANT_STREAM_LIMIT"
    SPOOL_FULL = "SPOOL_FULL"
    RECORDS_FULL = "RECORDS_FULL"
    READER_STALLED = "READER_STALLED"
    RESULT_LIMIT = "RESULT_LIMIT"
    ROW_TOO_LARGE = "ROW_TOO_LARGE"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    QUEUE_TIMEOUT = "QUEUE_TIMEOUT"
    QUERY_TIMEOUT = "QUERY_TIMEOUT"
    QUERY_CANCELLED = "QUERY_CANCELLED"
    RESULT_NOT_READY = "RESULT_NOT_READY"
    RESULT_EXPIRED = "RESULT_EXPIRED"
    RESULT_RELEASED = "RESULT_RELEASED"
    RESULT_LOST = "RESULT_LOST"
    RESULT_RESTARTED = "RESULT_RESTARTED"
    ROW_PAST_END = "ROW_PAST_END"
    ENGINE_ERROR = "ENGINE_ERROR"
    ENGINE_UNAVAILABLE = "ENGINE_UNAVAILABLE"
    WORKER_LOST = "WORKER_LOST"
    SERVER_LOST = "SERVER_LOST"
    SERVER_DRAINING = "SERVER_DRAINING"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    TENANT_BUSY = "TENANT_BUSY"
    SANDBOX_UNAVAILABLE = "SANDBOX_UNAVAILABLE"
    REPLY_TOO_LARGE = "REPLY_TOO_LARGE"
    CREDENTIAL_MISSING = "CREDENTIAL_MISSING"
    CREDENTIAL_INVALID = "CREDENTIAL_INVALID"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 - The name of a failure.
    TENANT_MISMATCH = "TENANT_MISMATCH"
    ROLE_MISSING = "ROLE_MISSING"
    RESULT_RESTRICTED = "RESULT_RESTRICTED"
    RELATION_NOT_ALLOWED = "RELATION_NOT_ALLOWED"
    AUTHENTICATION_UNAVAILABLE = "AUTHENTICATION_UNAVAILABLE"
    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE"
    POLICY_UNAVAILABLE = "POLICY_UNAVAILABLE"
    POLICY_DENIED = "POLICY_DENIED"
    API_KEY_NOT_FOUND = "API_KEY_NOT_FOUND"
    API_KEY_LIMIT = "API_KEY_LIMIT"
    SUBMIT_RATE_LIMIT = "SUBMIT_RATE_LIMIT"
    USAGE_LIMIT = "USAGE_LIMIT"
    SCAN_LIMIT = "SCAN_LIMIT"
    NAMED_QUERY_NOT_FOUND = "NAMED_QUERY_NOT_FOUND"
    NAMED_QUERY_EXISTS = "NAMED_QUERY_EXISTS"
    NAMED_QUERY_CHANGED = "NAMED_QUERY_CHANGED"
    NAMED_QUERY_LIMIT = "NAMED_QUERY_LIMIT"
    ENGINE_HINT_REFUSED = "ENGINE_HINT_REFUSED"
    TRANSLATION_REFUSED = "TRANSLATION_REFUSED"


CODES: Final[Mapping[Reason, Code]] = MappingProxyType(
    {
        Reason.INVALID_FIELD: Code.INVALID_ARGUMENT,
        Reason.REQUEST_TOO_LARGE: Code.INVALID_ARGUMENT,
        Reason.SYNTAX_ERROR: Code.INVALID_ARGUMENT,
        Reason.NOT_ONE_STATEMENT: Code.INVALID_ARGUMENT,
        Reason.STATEMENT_NOT_ALLOWED: Code.INVALID_ARGUMENT,
        Reason.STATEMENT_TOO_COMPLEX: Code.INVALID_ARGUMENT,
        Reason.STATEMENT_REJECTED: Code.INVALID_ARGUMENT,
        Reason.PARAMETER_MISMATCH: Code.INVALID_ARGUMENT,
        Reason.UNKNOWN_ENGINE: Code.INVALID_ARGUMENT,
        Reason.UNSUPPORTED: Code.INVALID_ARGUMENT,
        Reason.QUERY_NOT_FOUND: Code.NOT_FOUND,
        Reason.QUERY_ID_REUSED: Code.ALREADY_EXISTS,
        Reason.TENANT_QUEUE_FULL: Code.RESOURCE_EXHAUSTED,
        Reason.TENANT_STREAM_LIMIT: Code.RESOURCE_EXHAUSTED,
        Reason.SPOOL_FULL: Code.RESOURCE_EXHAUSTED,
        Reason.RECORDS_FULL: Code.RESOURCE_EXHAUSTED,
        Reason.READER_STALLED: Code.UNAVAILABLE,
        Reason.RESULT_LIMIT: Code.RESOURCE_EXHAUSTED,
        Reason.ROW_TOO_LARGE: Code.RESOURCE_EXHAUSTED,
        Reason.OUT_OF_MEMORY: Code.RESOURCE_EXHAUSTED,
        Reason.QUEUE_TIMEOUT: Code.DEADLINE_EXCEEDED,
        Reason.QUERY_TIMEOUT: Code.DEADLINE_EXCEEDED,
        Reason.QUERY_CANCELLED: Code.CANCELLED,
        Reason.RESULT_NOT_READY: Code.FAILED_PRECONDITION,
        Reason.RESULT_EXPIRED: Code.FAILED_PRECONDITION,
        Reason.RESULT_RELEASED: Code.FAILED_PRECONDITION,
        Reason.RESULT_LOST: Code.DATA_LOSS,
        Reason.RESULT_RESTARTED: Code.ABORTED,
        Reason.ROW_PAST_END: Code.OUT_OF_RANGE,
        Reason.ENGINE_ERROR: Code.INTERNAL,
        Reason.ENGINE_UNAVAILABLE: Code.UNAVAILABLE,
        Reason.WORKER_LOST: Code.UNAVAILABLE,
        Reason.SERVER_LOST: Code.UNAVAILABLE,
        Reason.SERVER_DRAINING: Code.UNAVAILABLE,
        Reason.STORE_UNAVAILABLE: Code.UNAVAILABLE,
        Reason.INTERNAL_ERROR: Code.INTERNAL,
        Reason.TENANT_BUSY: Code.RESOURCE_EXHAUSTED,
        Reason.SANDBOX_UNAVAILABLE: Code.UNAVAILABLE,
        Reason.REPLY_TOO_LARGE: Code.RESOURCE_EXHAUSTED,
        Reason.CREDENTIAL_MISSING: Code.UNAUTHENTICATED,
        Reason.CREDENTIAL_INVALID: Code.UNAUTHENTICATED,
        Reason.TOKEN_EXPIRED: Code.UNAUTHENTICATED,
        Reason.TENANT_MISMATCH: Code.PERMISSION_DENIED,
        Reason.ROLE_MISSING: Code.PERMISSION_DENIED,
        Reason.RESULT_RESTRICTED: Code.PERMISSION_DENIED,
        Reason.RELATION_NOT_ALLOWED: Code.PERMISSION_DENIED,
        Reason.AUTHENTICATION_UNAVAILABLE: Code.UNAVAILABLE,
        Reason.AUDIT_UNAVAILABLE: Code.UNAVAILABLE,
        Reason.POLICY_UNAVAILABLE: Code.UNAVAILABLE,
        Reason.POLICY_DENIED: Code.PERMISSION_DENIED,
        Reason.API_KEY_NOT_FOUND: Code.NOT_FOUND,
        Reason.API_KEY_LIMIT: Code.RESOURCE_EXHAUSTED,
        Reason.SUBMIT_RATE_LIMIT: Code.RESOURCE_EXHAUSTED,
        Reason.USAGE_LIMIT: Code.RESOURCE_EXHAUSTED,
        Reason.SCAN_LIMIT: Code.RESOURCE_EXHAUSTED,
        Reason.NAMED_QUERY_NOT_FOUND: Code.NOT_FOUND,
        Reason.NAMED_QUERY_EXISTS: Code.ALREADY_EXISTS,
        Reason.NAMED_QUERY_CHANGED: Code.ABORTED,
        Reason.NAMED_QUERY_LIMIT: Code.RESOURCE_EXHAUSTED,
        Reason.ENGINE_HINT_REFUSED: Code.PERMISSION_DENIED,
        Reason.TRANSLATION_REFUSED: Code.INVALID_ARGUMENT,
    }
)

RETRYABLE: Final = frozenset(
    {
        Reason.TENANT_QUEUE_FULL,
        Reason.TENANT_STREAM_LIMIT,
        Reason.SPOOL_FULL,
        Reason.RECORDS_FULL,
        Reason.READER_STALLED,
        Reason.QUEUE_TIMEOUT,
        Reason.RESULT_NOT_READY,
        Reason.RESULT_LOST,
        Reason.RESULT_EXPIRED,
        Reason.RESULT_RESTARTED,
        Reason.ENGINE_UNAVAILABLE,
        Reason.WORKER_LOST,
        Reason.SERVER_LOST,
        Reason.SERVER_DRAINING,
        Reason.STORE_UNAVAILABLE,
        Reason.TENANT_BUSY,
        Reason.SUBMIT_RATE_LIMIT,
        Reason.USAGE_LIMIT,
        Reason.SANDBOX_UNAVAILABLE,
        Reason.AUTHENTICATION_UNAVAILABLE,
        Reason.AUDIT_UNAVAILABLE,
        Reason.POLICY_UNAVAILABLE,
    }
)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in SQL text, both counted from 1; column in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure, as a value. Its texts, which may be an engine's own of any length, are cut to their bounds."""

    reason: Reason
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    sql_state: str = ""
    position: Position | None = None
    retry_after_seconds: float | None = None

    def __post_init__(self) -> None:
        metadata = {key: shortened(value, DETAIL_BYTES_MAX) for key, value in self.metadata.items()}
        # The way to set a field of a frozen dataclass while it is made.
        object.__setattr__(self, "message", shortened(self.message, MESSAGE_BYTES_MAX))
        object.__setattr__(self, "metadata", metadata)
        object.__setattr__(self, "sql_state", shortened(self.sql_state, SQL_STATE_BYTES_MAX))

    @property
    def code(self) -> Code:
        return CODES[self.reason]

    @property
    def retryable(self) -> bool:
        return may_retry(self.reason, self.metadata)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form; the inverse of from_json."""
        data: dict[str, Any] = {"reason": self.reason.value, "message": self.message}
        if self.metadata:
            data["metadata"] = dict(self.metadata)
        if self.sql_state:
            data["sql_state"] = self.sql_state
        if self.position is not None:
            data["position"] = [self.position.line, self.position.column]
        if self.retry_after_seconds is not None:
            data["retry_after_seconds"] = self.retry_after_seconds
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        position = data.get("position")
        return cls(
            reason=Reason(data["reason"]),
            message=data["message"],
            metadata=data.get("metadata", {}),
            sql_state=data.get("sql_state", ""),
            position=Position(*position) if position else None,
            retry_after_seconds=data.get("retry_after_seconds"),
        )


def may_retry(reason: str, metadata: Mapping[str, str]) -> bool:
    """Whether trying again may help: by the reason, unless the metadata say that it does not."""
    return reason in RETRYABLE and metadata.get("retryable") != "false"


class QueryEngineError(Exception):
    """A Failure on its way to whoever asked."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.reason}: {failure.message}")
        self.failure = failure


def error(
    reason: Reason,
    message: str,
    *,
    sql_state: str = "",
    position: Position | None = None,
    retry_after_seconds: float | None = None,
    **metadata: object,
) -> QueryEngineError:
    """The exception for a failure; keyword arguments beyond the named ones become its metadata, as text."""
    return QueryEngineError(
        Failure(
            reason=reason,
            message=message,
            metadata={key: str(value) for key, value in metadata.items()},
            sql_state=sql_state,
            position=position,
            retry_after_seconds=retry_after_seconds,
        )
    )
