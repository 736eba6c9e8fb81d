"""A query in memory ends once, whatever records arrive late."""

import asyncio
from dataclasses import replace

import pytest

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.query import VERSION_STEP, Query
from queryengine.live.query import LiveQuery, Pulse, Stop, cancelled
from tests import store_values

FAILED = {"state": QueryState.FAILED, "failure": Failure(Reason.ENGINE_ERROR, "gone")}


@pytest.fixture
def query() -> Query:
    return store_values.query(state=QueryState.RUNNING, attempt=1)


def later(query: Query, steps: int, **facts: object) -> Query:
    return query.but(version=query.version + steps * VERSION_STEP, **facts)


def test_an_end_is_told_once_and_before_anybody_wakes(query: Query) -> None:
    ended: list[Query] = []
    live = LiveQuery(query, ended.append)
    live.amend(rows=1)
    live.take(later(query, 1, rows=2))
    assert ended == []
    live.take(later(query, 2, **FAILED))
    live.take(later(query, 3, **FAILED))
    assert [each.state for each in ended] == [QueryState.FAILED]


def test_a_completion_that_was_told_is_not_taken_back(query: Query) -> None:
    ended: list[Query] = []
    live = LiveQuery(query, ended.append)
    live.amend(state=QueryState.COMPLETED, end_us=1)
    version = live.version
    # A cancel that was written before the completion, and answers after it.
    live.take(later(query, 1, cancel_us=1))
    assert (live.query.state, live.version) == (QueryState.COMPLETED, version)
    live.take(later(query, 2, state=QueryState.COMPLETED, end_us=1, cancel_us=1))
    assert live.query.cancel_us == 1
    assert len(ended) == 1


def test_a_query_that_had_ended_before_does_not_end_again(query: Query) -> None:
    ended: list[Query] = []
    live = LiveQuery(later(query, 1, **FAILED), ended.append)
    live.take(later(query, 2, **FAILED))
    assert ended == []


async def test_a_wish_to_cancel_outlives_the_run_that_it_came_too_late_for(query: Query) -> None:
    live = LiveQuery(query)
    put_back = Stop(Failure(Reason.SERVER_LOST, "drain"), QueryState.QUEUED)
    cancel = Stop(cancelled("enough"), QueryState.CANCELLED)
    live.request_stop(put_back)
    live.request_stop(cancel)
    assert live.stop is put_back
    live.begin_again()
    assert live.stop is cancel


def test_a_change_names_a_field(query: Query) -> None:
    assert query.but(rows=3) == replace(query, rows=3)
    with pytest.raises(TypeError, match="rowz"):
        query.but(rows=3, rowz=3)


async def test_a_pulse_wakes_who_waits_and_nobody_later() -> None:
    pulse = Pulse()
    pulse.beat()
    assert not await pulse.wait(0)
    waits = [asyncio.create_task(pulse.wait(limit)) for limit in (None, 60)]
    left = asyncio.create_task(pulse.wait(None))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait([left])
    pulse.beat()
    assert await asyncio.gather(*waits) == [True, True]
    assert not await pulse.wait(0)


async def test_a_run_learns_of_a_stop_once_also_of_an_earlier_one(query: Query) -> None:
    live = LiveQuery(query)
    stop, later = (Stop(cancelled(reason), QueryState.CANCELLED) for reason in ("enough", "again"))
    asked = live.stop_asked()
    assert not asked.done()
    live.request_stop(stop)
    live.request_stop(later)
    assert await asked is stop
    live.begin_again()
    # The run that follows is to stop before it has begun.
    assert await live.stop_asked() is stop
