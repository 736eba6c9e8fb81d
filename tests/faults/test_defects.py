"""Exceptions that nothing expects: they end one query by name, and leave its slot and its worker to the next one."""

import asyncio
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from queryengine.app.service import Service
from queryengine.domain.errors import Reason, error
from queryengine.domain.lifecycle import Event
from queryengine.executing import scheduler
from queryengine.executing.runner import Runner
from queryengine.workers import supervisor
from queryengine.workers.protocol import Frame
from tests.support import COMPLETED, FAILED, RUNNING, WAIT, Api, Gate, served, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

ONE = {"scripted": {"type": "scripted", "workers": 1}}
ROWS = "rows 3"
FAILS = "fail ENGINE_ERROR"


class Defect(Exception):  # noqa: N818 - What no code of ours expects.
    """Raised where a test says so."""


def broken(*_: Any, **__: Any) -> Any:
    raise Defect("injected")


async def broken_call(*_: Any, **__: Any) -> Any:
    raise Defect("injected")


async def gone(*_: Any, **__: Any) -> Any:
    raise error(Reason.QUERY_NOT_FOUND, "no such query")


def advance_breaks(runner: Runner, event: Event) -> Callable[..., Any]:
    """Store.advance that raises when it is asked for this event, the first time."""
    advance, left = runner._recorder._store.advance, [event]

    async def call(query: Any, asked: Event, **more: Any) -> Any:
        if asked in left:
            left.remove(asked)
            raise Defect("injected")
        return await advance(query, asked, **more)

    return call


async def works_on(service: Service, api: Api, gate: Gate) -> None:
    """The only slot is free, and its worker runs what comes."""
    gate.open()
    await until(lambda: service.pool.load("scripted").running == 0)
    await until(lambda: not service.parts.execution.dispatcher._shares.runs("scripted"))
    assert (await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED


def reported(status: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The client has the number of the incident, and the log its traceback."""
    assert (status.state, status.error.reason) == (FAILED, "INTERNAL_ERROR")
    number = status.error.metadata["incident"]
    assert number in status.error.message
    records = [record for record in caplog.records if number in record.getMessage()]
    assert sum(record.exc_info is not None for record in records) == 1
    assert "injected" not in status.error.message


@pytest.mark.parametrize(
    ("script", "part", "name", "raises"),
    [
        (ROWS, "_following._orders", "order", broken),
        (ROWS, "_following._estimates", "execution_us", broken),
        (ROWS, "_following._results", "source", broken),
        (ROWS, "_following._meter", "add", broken),
        (ROWS, "_following", "_last_word", broken_call),
        (ROWS, "_settling._estimates", "learn", broken),
        (ROWS, "_settling", "_settle", broken_call),
        (FAILS, "_settling", "_settle", broken_call),
        ("crash", "_settling._crashes", "failure", broken),
        # Where the statement has been sent already.
        ("endless", "_following", "_last_word", broken_call),
    ],
)
async def test_a_defect_in_a_run_fails_its_query_alone(
    tmp_path: Path,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    script: str,
    part: str,
    name: str,
    raises: Callable[..., Any],
) -> None:
    async with served(tmp_path, engines=ONE) as (service, api):
        with monkeypatch.context() as patch:
            patch.setattr(attrgetter(part)(service.parts.execution.runner), name, raises)
            query_id = (await api.script(script)).status.query_id
            reported(await api.ended(query_id), caplog)
        await works_on(service, api, gate)
        # It is the record that says so.
        service.parts.shared.registry._ended.clear()
        assert (await api.status(query_id)).error.reason == "INTERNAL_ERROR"


@pytest.mark.parametrize("event", [Event.CLAIM, Event.FAIL, Event.CANCEL])
async def test_a_defect_in_the_store_at_a_step_of_a_run_fails_its_query_alone(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, event: Event
) -> None:
    async with served(tmp_path, engines=ONE) as (service, api):
        held = (await api.script(f"{gate.script}; rows 1")).status.query_id
        await api.reached(held, RUNNING)
        query_id = (await api.script(FAILS if event is Event.FAIL else "endless")).status.query_id
        monkeypatch.setattr(service.parts.state.store, "advance", advance_breaks(service.parts.execution.runner, event))
        gate.open()
        if event is Event.CANCEL:
            await api.reached(query_id, RUNNING)
            await api.cancel(query_id)
        reported(await api.ended(query_id), caplog)
        await works_on(service, api, gate)


async def test_a_waiting_query_whose_parameters_are_gone_fails(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, engines=ONE) as (service, api):
        held = (await api.script(f"{gate.script}; rows 1")).status.query_id
        await api.reached(held, RUNNING)
        query_id = (await api.script(ROWS)).status.query_id
        monkeypatch.setattr(service.parts.execution.runner._recorder, "parameters", gone)
        gate.open()
        reported(await api.ended(query_id), caplog)
        monkeypatch.undo()
        await works_on(service, api, gate)


async def test_a_failure_that_cannot_be_written_holds_in_memory(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, engines=ONE) as (service, api):
        with monkeypatch.context() as patch:
            patch.setattr(service.parts.state.store, "advance", broken_call)
            query_id = (await api.script(FAILS)).status.query_id
            reported(await api.ended(query_id), caplog)
        await works_on(service, api, gate)


async def test_a_completion_that_cannot_be_written_is_logged_and_found_at_the_next_start(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, engines=ONE, results={"record_bytes": 0}) as (service, api):
        with monkeypatch.context() as patch:
            patch.setattr(service.parts.state.store, "advance", broken_call)
            query_id = (await api.script(ROWS, wait_timeout=WAIT)).status.query_id
            await until(lambda: "whose completion is not written" in caplog.text)
        assert (await api.stream(query_id).all())[-1].end.total_rows == 3
        await works_on(service, api, gate)
    async with served(tmp_path, engines=ONE) as (_, api):
        assert (await api.status(query_id)).state == COMPLETED


@pytest.mark.parametrize(
    "frame",
    [
        Frame({"type": "page"}),
        Frame({"type": "page", "execution": "", "page": [1]}),
        Frame({"type": "end", "execution": "", "totals": {}}),
        Frame({"type": "progress", "execution": "", "progress": {"nothing": 1}}),
        Frame({"type": "failed", "execution": "", "failure": {"reason": "NO_SUCH"}}),
        Frame({}),
    ],
)
async def test_a_frame_that_nothing_expects_fails_the_run_and_replaces_the_worker(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, frame: Frame
) -> None:
    taken = supervisor.Supervisor._on_frame

    def handle(self: supervisor.Supervisor, given: Frame) -> None:
        monkeypatch.undo()
        execution = given.header["execution"]
        header = {key: execution if key == "execution" else value for key, value in frame.header.items()}
        taken(self, Frame(header))

    monkeypatch.setattr(supervisor.Supervisor, "_on_frame", handle)
    async with served(tmp_path, engines=ONE) as (service, api):
        before = service.pool.load("scripted").worker_pids
        query_id = (await api.script(ROWS)).status.query_id
        reported(await api.ended(query_id), caplog)
        await works_on(service, api, gate)
        assert service.pool.load("scripted").worker_pids != before


async def test_a_defect_in_what_a_free_slot_sets_going_costs_no_worker(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scheduler, "DEFECT_SECONDS", 0.01)
    async with served(tmp_path, engines=ONE) as (service, api):
        before = service.pool.load("scripted").worker_pids
        with monkeypatch.context() as patch:
            patch.setattr(service.parts.execution.dispatcher, "decide", broken)
            held = (await api.script(f"{gate.script}; rows 1")).status.query_id
            await api.reached(held, RUNNING)
            waiting = (await api.script("rows 1")).status.query_id
            gate.open()
            await api.ended(held)
            await until(lambda: "in the scheduler" in caplog.text)
        assert (await api.ended(waiting)).state == COMPLETED
        await works_on(service, api, gate)
        assert service.pool.load("scripted").worker_pids == before


@pytest.mark.parametrize("cause", [TimeoutError, asyncio.InvalidStateError, Defect])
async def test_whatever_the_reading_of_a_frame_raises_is_logged_and_fails_the_run(
    tmp_path: Path,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    cause: type[Exception],
) -> None:
    def fail(_: supervisor.Supervisor, __: Frame) -> None:
        monkeypatch.undo()
        raise cause

    monkeypatch.setattr(supervisor.Supervisor, "_on_frame", fail)
    async with served(tmp_path, engines=ONE) as (service, api):
        query_id = (await api.script(ROWS)).status.query_id
        reported(await api.ended(query_id), caplog)
        await works_on(service, api, gate)


async def test_a_defect_in_what_counts_restarts_costs_no_worker(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, engines=ONE) as (service, api):
        with monkeypatch.context() as patch:
            for each in service.pool._supervisors["scripted"]:
                patch.setattr(each, "_restarted", broken)
            assert (await api.script("crash", wait_timeout=WAIT)).status.state == FAILED
            await until(lambda: "in a restart of a worker of engine scripted" in caplog.text)
        await works_on(service, api, gate)


async def test_a_worker_that_cannot_be_started_is_tried_again(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, engines=ONE) as (service, api):
        with monkeypatch.context() as patch:
            patch.setattr(supervisor.WorkerProcess, "start", broken_call)
            assert (await api.script("crash", wait_timeout=WAIT)).status.state == FAILED
            await until(lambda: "in a worker of engine scripted" in caplog.text)
            load = service.pool.load("scripted")
            assert not load.available
            assert "incident" in load.detail
        await works_on(service, api, gate)
