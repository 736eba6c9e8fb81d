"""Domain failures as gRPC statuses with google.rpc details (AIP-193). The only place that knows both sides."""

from typing import Final, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from queryengine.domain.errors import Failure, Reason

DOMAIN: Final = "queryengine"
MESSAGE_BYTES_MAX: Final = 4096
"""Statuses travel as headers, which clients bound at 8 to 16 KiB."""

STATUS_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

_QUOTAS: Final = frozenset({Reason.TENANT_QUEUE_FULL, Reason.TENANT_STREAM_LIMIT, Reason.SPOOL_FULL})


def to_status(failure: Failure) -> status_pb2.Status:
    """The failure as google.rpc.Status: ErrorInfo always; RetryInfo, BadRequest and QuotaFailure where they apply."""
    metadata = {key: value[:512] for key, value in failure.metadata.items()}
    if failure.sql_state:
        metadata["sql_state"] = failure.sql_state
    if failure.position is not None:
        metadata["line"] = str(failure.position.line)
        metadata["column"] = str(failure.position.column)
    message = shortened(failure.message)
    details = [error_details_pb2.ErrorInfo(reason=failure.reason.value, domain=DOMAIN, metadata=metadata)]
    if failure.retry_after_seconds is not None:
        delay = duration_pb2.Duration(nanos=int(failure.retry_after_seconds % 1 * 1e9))
        delay.seconds = int(failure.retry_after_seconds)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if failure.reason is Reason.INVALID_FIELD:
        violation = error_details_pb2.BadRequest.FieldViolation(field=metadata.get("field", ""), description=message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if failure.reason in _QUOTAS:
        quota = error_details_pb2.QuotaFailure.Violation(subject="tenant", description=message)
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


def shortened(message: str) -> str:
    """A message that fits in headers."""
    encoded = message.encode("utf-8", "replace")
    if len(encoded) <= MESSAGE_BYTES_MAX:
        return encoded.decode()
    return encoded[:MESSAGE_BYTES_MAX].decode("utf-8", "ignore") + "…"
