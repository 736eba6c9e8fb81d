"""The grace of a query that nobody reads: when it begins, begins again and ends. Every timer is set off by hand."""

import asyncio
from collections.abc import Callable

import pytest

from queryengine.live.readers import Readers

GRACE = 10.0


class Timers:
    """The timers that were set and not cancelled; none of them goes off by itself."""

    def __init__(self) -> None:
        self._set: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay: float, act: Callable[[], None]) -> "Handle":
        self._set.append((delay, act))
        return Handle(lambda entry=self._set[-1]: self._set.remove(entry))

    @property
    def delays(self) -> list[float]:
        return [delay for delay, _ in self._set]

    def go_off(self) -> None:
        _, act = self._set.pop()
        act()


class Handle:
    def __init__(self, cancel: Callable[[], None]) -> None:
        self.cancel = cancel


@pytest.fixture
async def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    timers = Timers()
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", timers.call_later)
    return timers


@pytest.fixture
def left() -> list[str]:
    return []


@pytest.fixture
def readers(timers: Timers, left: list[str]) -> Readers:
    return Readers()


async def test_nothing_is_timed_for_a_query_that_runs_for_nobody(readers: Readers, timers: Timers) -> None:
    with readers.present():
        assert readers.count == 1
    readers.seen()
    assert timers.delays == []


async def test_the_grace_begins_before_the_first_reader(readers: Readers, timers: Timers, left: list[str]) -> None:
    readers.expect(GRACE, lambda: left.append("left"))
    assert timers.delays == [GRACE]
    timers.go_off()
    assert left == ["left"]


async def test_the_grace_begins_with_the_last_reader_that_leaves(
    readers: Readers, timers: Timers, left: list[str]
) -> None:
    readers.expect(GRACE, lambda: left.append("left"))
    with readers.present():
        assert timers.delays == []
        with readers.present():
            assert timers.delays == []
        assert timers.delays == []
    assert timers.delays == [GRACE]
    timers.go_off()
    assert left == ["left"]


async def test_a_reader_that_comes_back_within_the_grace_ends_it(
    readers: Readers, timers: Timers, left: list[str]
) -> None:
    readers.expect(GRACE, lambda: left.append("left"))
    with readers.present():
        pass
    with readers.present():
        assert timers.delays == []
    assert timers.delays == [GRACE]
    assert left == []


async def test_a_reader_that_is_there_already_is_counted(readers: Readers, timers: Timers) -> None:
    with readers.present():
        readers.expect(GRACE, lambda: None)
        assert timers.delays == []
    assert timers.delays == [GRACE]


async def test_a_caller_who_does_not_stay_begins_it_again(readers: Readers, timers: Timers) -> None:
    readers.expect(GRACE, lambda: None)
    first = timers._set[0]
    readers.seen()
    assert timers.delays == [GRACE]
    assert timers._set[0] is not first
    with readers.present():
        readers.seen()
        assert timers.delays == []


async def test_nobody_is_expected_once_the_query_has_ended(readers: Readers, timers: Timers) -> None:
    readers.expect(GRACE, lambda: None)
    readers.dismiss()
    readers.dismiss()
    assert timers.delays == []
    with readers.present():
        pass
    assert timers.delays == []


async def test_a_departure_is_acted_on_once(readers: Readers, timers: Timers, left: list[str]) -> None:
    readers.expect(GRACE, lambda: left.append("left"))
    timers.go_off()
    with readers.present():
        pass
    assert (left, timers.delays) == (["left"], [])
