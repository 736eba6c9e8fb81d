"""Domain failures as gRPC statuses with google.rpc details (AIP-193). The only place that knows both sides."""

from typing import Final, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.texts import DETAIL_BYTES_MAX, shortened

DOMAIN: Final = "queryengine"
HEADER_BYTES_MAX: Final = 2048
"""Of a message in a status. Statuses travel as headers, which clients bound at 8 KiB: once as text, in which gRPC
writes each byte beyond ASCII as three, and once in the details.
"""

STATUS_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

_QUOTAS: Final = frozenset(
    {
        Reason.TENANT_QUEUE_FULL,
        Reason.TENANT_STREAM_LIMIT,
        Reason.TENANT_BUSY,
        Reason.SPOOL_FULL,
        Reason.RECORDS_FULL,
        Reason.SUBMIT_RATE_LIMIT,
        Reason.USAGE_LIMIT,
    }
)


def to_status(failure: Failure) -> status_pb2.Status:
    """The failure as google.rpc.Status: ErrorInfo always; RetryInfo, BadRequest and QuotaFailure where they apply."""
    metadata = dict(failure.metadata)
    if failure.sql_state:
        metadata["sql_state"] = failure.sql_state
    if failure.position is not None:
        metadata["line"] = str(failure.position.line)
        metadata["column"] = str(failure.position.column)
    message = _as_header(failure.message)
    brief = shortened(message, DETAIL_BYTES_MAX)
    details = [error_details_pb2.ErrorInfo(reason=failure.reason.value, domain=DOMAIN, metadata=metadata)]
    if failure.retry_after_seconds is not None:
        delay = duration_pb2.Duration(nanos=int(failure.retry_after_seconds % 1 * 1e9))
        delay.seconds = int(failure.retry_after_seconds)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if failure.reason is Reason.INVALID_FIELD:
        violation = error_details_pb2.BadRequest.FieldViolation(field=metadata.get("field", ""), description=brief)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if failure.reason in _QUOTAS:
        subject = ":".join(filter(None, (metadata.get("scope", "tenant"), metadata.get("name"))))
        quota = error_details_pb2.QuotaFailure.Violation(subject=subject, description=brief)
        details.append(error_details_pb2.QuotaFailure(violations=[quota]))
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=failure.code.value, message=message, details=packed)


async def abort(context: "grpc.aio.ServicerContext[object, object]", failure: Failure) -> NoReturn:
    """End the call with the failure."""
    status = to_status(failure)
    trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(STATUS_CODES[status.code], status.message, trailing_metadata=trailers)
    raise AssertionError("abort returned")


def _as_header(message: str) -> str:
    """As much of a message as gRPC writes into HEADER_BYTES_MAX bytes. The status of the query has more of it."""
    text = shortened(message, HEADER_BYTES_MAX)
    size = 0
    for number, character in enumerate(text):
        plain = " " <= character <= "~" and character != "%"
        size += 1 if plain else 3 * len(character.encode())
        if size > HEADER_BYTES_MAX:
            return text[:number] + "…"
    return text
