"""Queries for tests that need no service, and what each event is written with."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.lifecycle import Event, QueryState, ResultState
from queryengine.domain.plan import Plan
from queryengine.domain.query import Query
from queryengine.domain.submission import Submission
from queryengine.store import Store

SERVER = "server-1"

CHANGES: Mapping[Event, Mapping[str, Any]] = MappingProxyType(
    {
        Event.CLAIM: {"owner": SERVER, "start_us": 2_000},
        Event.COMPLETE: {"end_us": 3_000, "result_state": ResultState.READY, "expire_us": 9_000, "rows": 7},
        Event.FAIL: {"end_us": 3_000, "failure": Failure(Reason.ENGINE_ERROR, "out of cheese")},
        Event.CANCEL: {"end_us": 3_000, "failure": Failure(Reason.QUERY_CANCELLED, "on request")},
        Event.ORPHAN: {},
    }
)

ROAD: Mapping[QueryState, tuple[Event, ...]] = MappingProxyType(
    {
        QueryState.QUEUED: (),
        QueryState.RUNNING: (Event.CLAIM,),
        QueryState.COMPLETED: (Event.CLAIM, Event.COMPLETE),
        QueryState.FAILED: (Event.CLAIM, Event.FAIL),
        QueryState.CANCELLED: (Event.CLAIM, Event.CANCEL),
    }
)


def submission(**changes: Any) -> Submission:
    return replace(Submission(tenant="tenant", subject="subject", sql="SELECT 1"), **changes)


def plan(**changes: Any) -> Plan:
    plain = Plan(
        engine="duckdb",
        engine_type="duckdb",
        routing_reason="default",
        queue_timeout_ms=600_000,
        execution_timeout_ms=1_800_000,
        ttl_ms=86_400_000,
    )
    return replace(plain, **changes)


def query(
    number: int = 1,
    *,
    asked: Submission | None = None,
    planned: Plan | None = None,
    tenant: str = "tenant",
    **changes: Any,
) -> Query:
    asked = replace(asked or submission(), tenant=tenant)
    plain = Query(
        query_id=f"00000000-0000-4000-8000-{number:012d}",
        submission=asked,
        plan=planned or plan(),
        fingerprint=asked.fingerprint(),
        query_hash=asked.query_hash(),
        submit_us=1_000 + number,
    )
    return replace(plain, **changes)


async def stored(store: Store, state: QueryState, number: int = 1, **changes: Any) -> Query:
    """A query in the store, driven to a state."""
    now, _ = await store.submit(query(number, **changes))
    for event in ROAD[state]:
        fired, now = await store.advance(now, event, changes=CHANGES[event])
        assert fired
    assert now.state is state
    return now
