"""The promises of the record about what queries have used: counted once with the end, and kept after the records."""

import asyncio

import pytest

from queryengine.domain.consumption import DAY_HOURS, HOUR_US, Consumption
from queryengine.domain.lifecycle import Event, QueryState, ResultState
from queryengine.domain.query import Query
from queryengine.executing.sweeps import TidyingUsage
from queryengine.live.lifetimes import Lifetimes
from queryengine.store import Store
from tests.guarded import MovableClock
from tests.store_values import CHANGES, plan, query, stored, submission

E, Q, R = Event, QueryState, ResultState
DAY = 20_000 * DAY_HOURS
"""The first hour of a day."""


async def days(store: Store, tenant: str | None = "tenant", subject: str | None = None) -> list[Consumption]:
    return await store.ledger.days(tenant=tenant, subject=subject, from_hour=0, to_hour=10**9, limit=1000)


async def run(
    store: Store, number: int, event: Event, *, hour: int = DAY, seconds: int = 2, **changes: object
) -> Query:
    """A query that ran for so long and ended in an hour."""
    asked = submission(subject=str(changes.pop("subject", "subject")), api_key=str(changes.pop("api_key", "")))
    planned = plan(engine=str(changes.pop("engine", "duckdb")), policy_version=str(changes.pop("policy_version", "")))
    tenant = str(changes.pop("tenant", "tenant"))
    start_us = hour * HOUR_US
    new = query(number, asked=asked, planned=planned, tenant=tenant, submit_us=start_us)
    waiting, _ = await store.submit(new)
    _, running = await store.advance(waiting, E.CLAIM, changes={"owner": "server-1", "start_us": start_us})
    end = {**CHANGES[event], "end_us": start_us + seconds * 1_000_000, **changes}
    fired, ended = await store.advance(running, event, changes=end)
    assert fired
    return ended


async def test_each_end_is_counted_once_whatever_it_is(store: Store) -> None:
    done = await run(store, 1, E.COMPLETE, rows=7, bytes=900, bytes_scanned=5_000)
    await run(store, 2, E.FAIL, bytes_scanned=300)
    await run(store, 3, E.CANCEL)
    waiting = await stored(store, Q.QUEUED, 4)
    await store.advance(waiting, E.FAIL, changes={**CHANGES[E.FAIL], "end_us": DAY * HOUR_US})
    # None of these is an end.
    await stored(store, Q.RUNNING, 5)
    assert not (await store.advance(done, E.CANCEL, changes=CHANGES[E.CANCEL]))[0]
    await store.update(done, changes={"expire_us": 1})
    await store.drop_result(done, R.EXPIRED)
    assert await days(store) == [
        Consumption(
            tenant="tenant",
            subject="subject",
            engine="duckdb",
            hour=DAY,
            queries=4,
            failed=2,
            cancelled=1,
            cache_hits=0,
            engine_us=6_000_000,
            rows=7,
            bytes_stored=900,
            bytes_scanned=5_300,
            bytes_scanned_hidden=0,
        )
    ]


async def test_any_text_may_be_asked_for_as_a_subject(store: Store) -> None:
    await run(store, 1, E.COMPLETE)
    for subject in ("\0", "a\0b", "\ufffd", "'", "%", ""):
        assert await days(store, subject=subject) == []


async def test_a_query_that_is_written_with_its_end_counts_too(store: Store) -> None:
    start_us = DAY * HOUR_US
    new = query(1, state=Q.RUNNING, attempt=1, owner="server-1", start_us=start_us, submit_us=start_us)
    changes = {**CHANGES[E.COMPLETE], "end_us": start_us + 500_000}
    await store.submit_ended(new, E.COMPLETE, changes=changes, payload=b"x")
    await store.submit_ended(new, E.COMPLETE, changes=changes, payload=b"x")
    (found,) = await days(store)
    assert (found.queries, found.engine_us, found.rows) == (1, 500_000, 7)


async def test_ends_of_a_crowd_are_all_counted(store: Store) -> None:
    numbers = range(1, 201)
    await asyncio.gather(*(run(store, number, E.COMPLETE, rows=1) for number in numbers))
    (found,) = await days(store)
    assert (found.queries, found.rows, found.engine_us) == (200, 200, 400_000_000)


async def test_usage_stays_when_records_go(store: Store) -> None:
    await run(store, 1, E.FAIL)
    before = await days(store)
    assert await store.delete_ended_before(10**18, 10) == 1
    assert await days(store) == before


async def test_scanned_bytes_under_policies_are_known_apart(store: Store) -> None:
    await run(store, 1, E.COMPLETE, bytes_scanned=10)
    await run(store, 2, E.COMPLETE, bytes_scanned=500, policy_version="v")
    (found,) = await days(store)
    assert (found.bytes_scanned, found.bytes_scanned_hidden) == (510, 500)


async def test_days_are_apart_by_tenant_subject_and_engine(store: Store) -> None:
    await run(store, 1, E.FAIL, hour=DAY + 23)
    await run(store, 2, E.FAIL, hour=DAY + 24, engine="warehouse")
    await run(store, 3, E.FAIL, hour=DAY, subject="ann", api_key="report")
    await run(store, 4, E.FAIL, hour=DAY + 1, subject="ann")
    await run(store, 5, E.FAIL, tenant="other")
    found = [(each.hour, each.tenant, each.subject, each.engine, each.queries) for each in await days(store, None)]
    assert found == [
        (DAY, "other", "subject", "duckdb", 1),
        (DAY, "tenant", "ann", "duckdb", 2),
        (DAY, "tenant", "subject", "duckdb", 1),
        (DAY + 24, "tenant", "subject", "warehouse", 1),
    ]
    assert [each.subject for each in await days(store, "tenant", "ann")] == ["ann"]
    pages = [
        await store.ledger.days(tenant=None, subject=None, from_hour=DAY, to_hour=DAY + 24, skip=skip, limit=2)
        for skip in (0, 2)
    ]
    assert [(each.hour, each.tenant, each.subject) for page in pages for each in page] == [row[:3] for row in found[:3]]


async def test_old_hours_become_days_and_old_days_go(store: Store) -> None:
    for number, hour in enumerate((DAY - 24, DAY, DAY + 3, DAY + 3, DAY + 23, DAY + 30)):
        await run(store, number, E.FAIL, hour=hour, api_key="report" if number == 3 else "")
    await store.ledger.tidy(fold_before_hour=DAY + 24, forget_before_hour=DAY)
    since = {(each.hour, each.api_key): each.queries for each in await store.ledger.since(0)}
    assert since == {(DAY, ""): 3, (DAY, "report"): 1, (DAY + 30, ""): 1}
    before = await days(store)
    await store.ledger.tidy(fold_before_hour=DAY + 24, forget_before_hour=DAY)
    assert await days(store) == before


@pytest.mark.parametrize("end_us", [DAY * HOUR_US - 1, DAY * HOUR_US])
async def test_an_end_before_the_start_uses_no_time(store: Store, end_us: int) -> None:
    await run(store, 1, E.FAIL, end_us=end_us)
    (found,) = await days(store)
    assert found.engine_us == 0


async def test_a_sweep_tidies_once_a_day(store: Store) -> None:
    clock = MovableClock()
    clock.ahead_seconds = (DAY + 49) * 3600 + 60 - clock.seconds
    lifetimes = Lifetimes(clock, keep_records_us=1, keep_usage_us=48 * HOUR_US)
    sweep = TidyingUsage(ledger=store.ledger, lifetimes=lifetimes)
    for number, hour in enumerate((DAY, DAY + 2, DAY + 23, DAY + 30)):
        await run(store, number, E.FAIL, hour=hour)
    await sweep.sweep()
    assert {each.hour: each.queries for each in await store.ledger.since(0)} == {DAY: 3, DAY + 30: 1}
    await run(store, 9, E.FAIL, hour=DAY + 5)
    await sweep.sweep()
    assert len(await store.ledger.since(0)) == 3
    clock.ahead_seconds += 24 * 3600
    await sweep.sweep()
    assert {each.hour: each.queries for each in await store.ledger.since(0)} == {DAY + 24: 1}
