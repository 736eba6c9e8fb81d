"""How a run is brought to its end: asked, asked again, given up; and left alone once it is over."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from queryengine.domain.errors import Reason
from queryengine.domain.lifecycle import QueryState
from queryengine.executing import stopping
from queryengine.executing.stopping import stoppable
from queryengine.live.query import EngineCancel, LiveQuery, Stop, cancelled
from tests.unit.core_values import query

STOP = Stop(cancelled("enough"), QueryState.CANCELLED)


class Run:
    """A run that notes what is asked of it."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.breaks = breaks
        self.cancels = 0
        self.was_asked, self.given_up = asyncio.Event(), asyncio.Event()

    def cancel(self) -> None:
        self.cancels += 1
        self.was_asked.set()
        if self.breaks:
            raise ZeroDivisionError("injected")

    def abandon(self, _: str) -> None:
        self.given_up.set()


def fake(*, breaks: bool = False) -> Any:
    return Run(breaks=breaks)


async def happens(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), 30)


@pytest.mark.parametrize("when", ["before", "during"])
async def test_an_engine_is_asked_to_stop_whenever_that_was_wished(when: str) -> None:
    live, run = LiveQuery(query("a1")), fake()
    if when == "before":
        live.request_stop(STOP)
    with stoppable(live, run, grace_seconds=60):
        live.request_stop(STOP)
        await happens(run.was_asked)
        assert live.engine_cancel is EngineCancel.SENT
    assert not run.given_up.is_set()


async def test_an_engine_that_does_not_listen_is_asked_again_and_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "REPEAT_CANCEL_SECONDS", 0.001)
    live, run = LiveQuery(query("a1")), fake()
    with stoppable(live, run, grace_seconds=0.05):
        live.request_stop(STOP)
        await happens(run.given_up)
    assert run.cancels >= 1
    assert live.engine_cancel is EngineCancel.KILLED


async def test_a_run_that_cannot_be_asked_is_given_up_at_once(caplog: pytest.LogCaptureFixture) -> None:
    live, run = LiveQuery(query("a1")), fake(breaks=True)
    with stoppable(live, run, grace_seconds=3600):
        live.request_stop(STOP)
        await happens(run.given_up)
    assert caplog.text.count("whose engine is to stop") == 1


async def test_a_run_ends_after_its_execution_timeout() -> None:
    asked = query("a1")
    live, run = LiveQuery(asked.but(plan=replace(asked.plan, execution_timeout_ms=1))), fake()
    with stoppable(live, run, grace_seconds=60):
        await happens(run.was_asked)
    assert live.stop is not None
    assert (live.stop.failure.reason, live.stop.ends_as) == (Reason.QUERY_TIMEOUT, QueryState.FAILED)


async def test_a_run_that_is_over_is_left_alone() -> None:
    live, run = LiveQuery(query("a1")), fake()
    with stoppable(live, run, grace_seconds=60):
        pass
    live.request_stop(STOP)
    for _turn in range(3):
        await asyncio.sleep(0)
    assert run.cancels == 0
