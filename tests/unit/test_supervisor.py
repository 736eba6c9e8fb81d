"""A slot has one owner, who alone gives it back; and what becomes of runs whose process is gone."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from queryengine.domain.errors import Failure, Reason
from queryengine.results.segment import ResultTotals
from queryengine.telemetry.logs import LogStyle
from queryengine.workers.events import Ended, Failed, Lost, RunEvent
from queryengine.workers.forking import Template
from queryengine.workers.protocol import Frame
from queryengine.workers.supervisor import EngineConfig, RemoteExecution, Slot, Supervisor
from tests.templates import copy_template


class Order:
    """As much of a RunOrder as a supervisor looks at."""

    def __init__(self, execution: str) -> None:
        self.execution = execution

    def encode(self) -> bytes:
        return self.execution.encode()


class Process:
    """A process that notes what is sent to it, and is not there."""

    pid = 1

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_killed = False
        self.left_unread = False

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def kill(self) -> None:
        self.is_killed = True


def supervised(slots: int = 1) -> tuple[Supervisor, Process]:
    """A supervisor whose process is up."""
    config = EngineConfig(
        name="e", type="e", workers=1, slots_per_worker=slots, memory_limit_mib=1, probe_seconds=1, spool=str(Path())
    )
    process, template = Process(), Template(copy_template)
    supervisor = Supervisor(config, asyncio.Event(), lambda _: None, LogStyle(), template, is_first=True)
    supervisor._process = process  # type: ignore[assignment]
    return supervisor, process


def take(supervisor: Supervisor) -> Slot:
    slot = supervisor.take()
    assert slot is not None
    return slot


def begin(slot: Slot, name: str = "x") -> RemoteExecution:
    return slot.run(Order(name))  # type: ignore[arg-type]


def report(supervisor: Supervisor, kind: str, **header: Any) -> None:
    supervisor._on_frame(Frame({"type": kind, "execution": "x", **header}))


def last(run: RemoteExecution) -> RunEvent:
    event = run._events.get_nowait()
    assert run._events.empty()
    return event


END = {"totals": ResultTotals(rows=0, pages=0, bytes=0).to_json(), "confirmed": True}
BROKEN = {"failure": Failure(Reason.ENGINE_ERROR, "no").to_json(), "confirmed": True}


@pytest.mark.parametrize("how", ["nothing was begun", "ended", "failed", "abandoned", "runs on"])
def test_a_slot_is_held_until_it_is_given_back_and_is_given_back_once(how: str) -> None:
    supervisor, process = supervised()
    slot = take(supervisor)
    if how != "nothing was begun":
        run = begin(slot)
        match how:
            case "ended":
                report(supervisor, "end", **END)
            case "failed":
                report(supervisor, "failed", **BROKEN)
            case "abandoned":
                run.abandon("enough")
    assert (supervisor.running, supervisor.take()) == (1, None)
    for _ in range(2):
        slot.release()
        assert supervisor.running == 0
    assert not supervisor._runs
    # Nobody follows it: its process must not go on with it.
    assert process.is_killed is (how in ("abandoned", "runs on"))
    assert (supervisor.take() is None) is process.is_killed


def test_a_slot_of_a_process_that_is_gone_gives_nothing_back_to_its_successor() -> None:
    supervisor, process = supervised()
    old = take(supervisor)
    supervisor._lose_all(process)  # type: ignore[arg-type]
    supervisor._process = Process()  # type: ignore[assignment]
    new = take(supervisor)
    old.release()
    assert (supervisor.running, supervisor.take()) == (1, None)
    new.release()
    assert supervisor.take() is not None


def test_a_process_that_is_to_go_stays_for_whoever_holds_a_slot_of_it() -> None:
    supervisor, process = supervised(slots=2)
    deaf, waiting = take(supervisor), take(supervisor)
    begin(deaf).abandon("enough")
    assert not process.is_killed
    run = begin(waiting)
    assert not process.is_killed
    report(supervisor, "end", **END)
    assert isinstance(last(run), Ended)
    assert process.is_killed


@pytest.mark.parametrize(
    ("left_unread", "reported", "runs", "event", "by_itself"),
    [
        # It had read everything, so the statement alone is to blame, unless another one was beside it.
        (False, False, 1, Lost, True),
        (False, True, 1, Lost, True),
        (False, False, 2, Lost, False),
        # It was dying already, and never read the order.
        (True, False, 1, Failed, None),
        (True, False, 2, Failed, None),
        # What it did not read was something else.
        (True, True, 1, Lost, True),
    ],
)
def test_a_run_is_blamed_for_the_end_of_its_process_only_if_that_had_read_its_order(
    *, left_unread: bool, reported: bool, runs: int, event: type, by_itself: bool | None
) -> None:
    supervisor, process = supervised(slots=2)
    run = begin(take(supervisor))
    for _ in range(runs - 1):
        begin(take(supervisor), "other")
    if reported:
        report(supervisor, "schema")
        run._events.get_nowait()
    process.left_unread = left_unread
    supervisor._lose_all(process)  # type: ignore[arg-type]
    found = last(run)
    assert isinstance(found, event)
    if isinstance(found, Lost):
        assert found.by_itself is by_itself
    if isinstance(found, Failed):
        assert found.failure.reason is Reason.ENGINE_UNAVAILABLE


def test_a_statement_that_comes_too_late_for_its_process_was_not_begun() -> None:
    supervisor, process = supervised()
    slot = take(supervisor)
    supervisor._lose_all(process)  # type: ignore[arg-type]
    found = last(begin(slot))
    assert isinstance(found, Failed)
    assert found.failure.reason is Reason.ENGINE_UNAVAILABLE


def test_a_statement_that_cannot_be_sent_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor, process = supervised()
    slot = take(supervisor)
    monkeypatch.setattr(process, "send", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        begin(slot)
    slot.release()
    assert (supervisor.running, supervisor._runs) == (0, {})
