"""What a client learns of what queries have used."""

import datetime as dt
from dataclasses import dataclass

from queryengine.v1 import query_service_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyUsage:
    """Of the queries of one tenant, subject and engine that ended on one day of UTC."""

    date: dt.date
    tenant: str
    subject: str
    """Who submitted them; empty when nothing named them."""
    engine: str
    queries: int
    failed: int
    cancelled: int
    cache_hits: int
    engine_seconds: float
    rows: int
    bytes_stored: int
    bytes_scanned: int
    """As far as engines report it, and without queries to which row policies apply, unless an admin asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageList:
    """A part of a list of usage."""

    usage: tuple[DailyUsage, ...]
    next_page_token: str
    """For the following part; empty at the end."""


def usage_list(message: query_service_pb2.GetUsageResponse) -> UsageList:
    return UsageList(usage=tuple(map(_daily_usage, message.usage)), next_page_token=message.next_page_token)


def _daily_usage(message: query_service_pb2.DailyUsage) -> DailyUsage:
    return DailyUsage(
        date=dt.date.fromisoformat(message.date),
        tenant=message.tenant,
        subject=message.subject,
        engine=message.engine,
        queries=message.queries,
        failed=message.failed,
        cancelled=message.cancelled,
        cache_hits=message.cache_hits,
        engine_seconds=message.engine_time.ToMicroseconds() / 1e6,
        rows=message.rows,
        bytes_stored=message.bytes_stored,
        bytes_scanned=message.bytes_scanned,
    )
