"""The log of changes of a tenant: what is known since a position, for how long, and who is woken."""

import asyncio
from contextlib import ExitStack

import pytest

from queryengine.live import changes as module
from queryengine.live.changes import ChangeLog, Changes
from tests.support import HANG_SECONDS

ROOM = 100


@pytest.fixture
def log() -> ChangeLog:
    return ChangeLog()


def noted(log: ChangeLog, ids: str, *, room: int = ROOM) -> None:
    for query_id in ids:
        log.note(query_id, at_once=True, room=room)


def ids(found: list[tuple[int, str]] | None) -> str:
    assert found is not None
    assert [number for number, _ in found] == sorted(number for number, _ in found)
    return "".join(query_id for _, query_id in found)


def test_queries_come_in_the_order_of_their_last_changes(log: ChangeLog) -> None:
    noted(log, "abcab")
    assert ids(log.since(0, 10)) == "cab"
    assert ids(log.since(3, 10)) == "ab"
    assert ids(log.since(4, 10)) == "b"
    assert ids(log.since(5, 10)) == ""


def test_they_come_in_pieces_without_a_gap(log: ChangeLog) -> None:
    noted(log, "abcdefga")
    seen, came = 0, ""
    while piece := log.since(seen, 3):
        came += ids(piece)
        seen = piece[-1][0]
        if "d" not in came or "h" in came:
            continue
        # Whoever changes meanwhile comes once more, at its new place.
        noted(log, "bh")
    assert came == "bcdefgabh"


def test_a_query_that_changes_often_takes_no_room_of_others(log: ChangeLog) -> None:
    noted(log, "ab", room=3)
    noted(log, "c" * 10_000, room=3)
    assert ids(log.since(0, 10)) == "abc"


def test_what_is_forgotten_is_known_to_be(log: ChangeLog) -> None:
    noted(log, "abcde", room=3)
    assert log.since(0, 10) is None
    assert log.since(1, 10) is None
    # All that came after the second change is known.
    assert ids(log.since(2, 10)) == "cde"


@pytest.mark.parametrize(
    "wrong", ["", ".", "x", "x.1", "{name}.", "{name}.-1", "{name}.1.0", "{name}.٣", "{name}.6", "{name}.1"]
)
def test_a_position_that_is_not_known_is_none(log: ChangeLog, wrong: str) -> None:
    noted(log, "abcde", room=3)
    name = log.position(0).partition(".")[0]
    assert log.sequence_at(wrong.format(name=name)) is None


def test_a_position_is_that_of_its_log_alone(log: ChangeLog) -> None:
    noted(log, "abcde", room=3)
    for sequence in (2, 3, 5):
        assert log.sequence_at(log.position(sequence)) == sequence
    other = ChangeLog()
    noted(other, "abcde", room=3)
    assert other.sequence_at(log.position(3)) is None
    assert len(log.position(1 << 63)) <= 64


async def test_a_change_of_state_wakes_at_once_and_progress_soon() -> None:
    changes = Changes()
    loop = asyncio.get_running_loop()
    with changes.watched("tenant") as log:
        waiting = asyncio.ensure_future(log.wait(HANG_SECONDS))
        await asyncio.sleep(0)
        changes.note(("tenant", "a"), True)
        assert await waiting
        waiting = asyncio.ensure_future(log.wait(HANG_SECONDS))
        await asyncio.sleep(0)
        began = loop.time()
        for _ in range(100):
            changes.note(("tenant", "b"), False)
        assert await waiting
        assert loop.time() - began >= 0.9 * module.PROGRESS_SECONDS
        assert ids(log.since(0, 10)) == "ab"


async def test_only_tenants_that_are_watched_are_noted() -> None:
    changes = Changes()
    changes.note(("tenant", "a"), True)
    with changes.watched("tenant") as log, changes.watched("other") as foreign:
        assert changes.watchers == 2
        changes.note(("tenant", "b"), True)
        changes.note(("nobody", "c"), True)
        assert ids(log.since(0, 10)) == "b"
        assert ids(foreign.since(0, 10)) == ""
    assert changes.watchers == 0


async def test_a_watcher_may_come_back_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = Changes()
    with changes.watched("tenant") as log:
        position = log.position(log.sequence)
    changes.note(("tenant", "a"), True)
    with changes.watched("tenant") as log:
        assert ids(log.since(log.sequence_at(position) or 0, 10)) == "a"
    monkeypatch.setattr(module, "UNWATCHED_SECONDS", -1.0)
    with changes.watched("other"):
        pass
    with changes.watched("tenant") as log:
        assert log.sequence_at(position) is None


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHANGED_MAX", 40)
    monkeypatch.setattr(module, "CHANGED_IN_ALL_MAX", 100)
    monkeypatch.setattr(module, "UNWATCHED_MAX", 5)


@pytest.mark.usefixtures("small")
async def test_a_log_is_bounded() -> None:
    changes = Changes()
    with changes.watched("alone") as log:
        for number in range(1_000):
            changes.note(("alone", f"query-{number}"), True)
        assert log.since(log.sequence - 41, 1_000) is None
        assert len(log.since(log.sequence - 40, 1_000) or ()) == 40


@pytest.mark.usefixtures("small")
async def test_the_logs_of_all_tenants_are_bounded() -> None:
    changes = Changes()
    with ExitStack() as watching:
        logs = [watching.enter_context(changes.watched(f"tenant-{number}")) for number in range(10)]
        for number in range(1_000):
            changes.note((f"tenant-{number % 10}", f"query-{number}"), True)
        assert all(len(log.since(log.sequence - 11, 1_000) or ()) == 11 for log in logs)
        assert all(log.since(log.sequence - 12, 1_000) is None for log in logs)
    # Of those that nobody watches any more, the last to be left are kept.
    for tenant, is_kept in (("tenant-0", True), ("tenant-9", False)):
        with changes.watched(tenant) as log:
            assert (log.sequence == 100) is is_kept
