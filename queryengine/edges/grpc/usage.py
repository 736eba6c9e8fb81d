"""The RPC about what queries have used."""

import datetime as dt
from typing import Final

from queryengine.accepting.usage import UsageFilter, UsageReport
from queryengine.domain.consumption import DAY_HOURS, Consumption
from queryengine.edges.grpc import convert
from queryengine.edges.grpc.call import Caller, Unary
from queryengine.edges.grpc.fields import invalid, not_negative, short
from queryengine.edges.grpc.fitting import fitting
from queryengine.v1 import query_service_pb2 as pb

PAGE_SIZE_DEFAULT: Final = 1_000
PAGE_SIZE_MAX: Final = 10_000
SKIP_MAX: Final = 1 << 40
_EPOCH: Final = dt.date(1970, 1, 1)


class UsageRpcs:
    """GetUsage."""

    def __init__(self, usage: UsageReport) -> None:
        self._usage = usage

    def behaviours(self) -> dict[str, Unary]:
        return {"GetUsage": self.get_usage}

    async def get_usage(self, request: pb.GetUsageRequest, caller: Caller) -> pb.GetUsageResponse:
        size = min(not_negative(request.page_size, "page_size") or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        skip = _skip(request.page_token)
        wanted = UsageFilter(
            from_day=_day(request.from_date, "from_date"),
            to_day=_day(request.to_date, "to_date"),
            subject=short(request.subject, "subject"),
            all_tenants=request.all_tenants,
        )
        caller.leave_turn()
        found = await self._usage.of(caller.principal, wanted, skip=skip, limit=size + 1)
        reply = pb.GetUsageResponse(usage=fitting(map(_usage, found[:size])))
        if len(reply.usage) < len(found):
            reply.next_page_token = str(skip + len(reply.usage))
        return reply


def _day(text: str, field: str) -> int | None:
    """Days from 1970; None for an empty text."""
    if not text:
        return None
    try:
        return (dt.date.fromisoformat(text) - _EPOCH).days
    except ValueError as cause:
        raise invalid(field, "is not a date, as 2026-11-28") from cause


def _skip(token: str) -> int:
    if not token:
        return 0
    if not (token.isascii() and token.isdecimal()) or len(token) > len(str(SKIP_MAX)):
        raise invalid("page_token", "is not a token of an earlier answer")
    return int(token)


def _usage(found: Consumption) -> pb.DailyUsage:
    return pb.DailyUsage(
        date=(_EPOCH + dt.timedelta(days=found.hour // DAY_HOURS)).isoformat(),
        tenant=found.tenant,
        subject=found.subject,
        engine=found.engine,
        queries=found.queries,
        failed=found.failed,
        cancelled=found.cancelled,
        cache_hits=found.cache_hits,
        engine_time=convert.duration(found.engine_us),
        rows=found.rows,
        bytes_stored=found.bytes_stored,
        bytes_scanned=found.bytes_scanned,
    )
