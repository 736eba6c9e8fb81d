"""The thread that reads an order carries it out itself, and another one reads on when that takes long."""

import queue
import threading
from collections.abc import Callable, Iterator

import pytest

from queryengine.workers import relay
from queryengine.workers.relay import Relay
from tests.support import until_sync

SECONDS = 30.0


class Over(BaseException):
    """Ends a thread of a test."""


class Orders:
    """A relay whose orders are functions, read from a queue; says which thread reads and carries out each."""

    def __init__(self, *, with_other: bool = True) -> None:
        self.relay = Relay()
        self.given: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self.done: queue.Queue[tuple[str, threading.Thread]] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._turns, args=(reads,), daemon=True)
            for reads in ((True, False) if with_other else (True,))
        ]
        for each in self._threads:
            each.start()

    def give(self, name: str, work: Callable[[], None] = lambda: None) -> None:
        def order() -> None:
            work()
            self.done.put((name, threading.current_thread()))

        self.given.put(order)

    def next_done(self) -> tuple[str, threading.Thread]:
        return self.done.get(timeout=SECONDS)

    def end(self) -> None:
        """Have each thread read in its turn that it is over."""
        while any(each.is_alive() for each in self._threads):
            self.given.put(None)
            with self.relay._state:
                self.relay._began = 0.0
                self.relay._state.notify()
            for each in self._threads:
                each.join(relay.LOOK_SECONDS)

    def _turns(self, reads: bool) -> None:
        try:
            self.relay._take_turns(self._read, reads)
        except Over:
            return

    def _read(self) -> None:
        order = self.given.get()
        if order is None:
            raise Over
        self.relay.carry_out(order)


@pytest.fixture
def orders() -> Iterator[Orders]:
    made = Orders()
    yield made
    made.end()


def test_an_order_is_carried_out_by_the_thread_that_reads_it() -> None:
    orders = Orders(with_other=False)
    for name in "abc":
        orders.give(name)
    done = [orders.next_done() for _ in "abc"]
    assert [name for name, _ in done] == ["a", "b", "c"]
    assert len({thread for _, thread in done}) == 1
    orders.end()


def test_the_other_thread_reads_on_while_an_order_takes_long_again_and_again(orders: Orders) -> None:
    for _ in range(3):
        gate = threading.Event()
        orders.give("long", lambda gate=gate: gate.wait(SECONDS) and None)  # type: ignore[misc]
        orders.give("behind")
        name, reader = orders.next_done()
        assert name == "behind"
        gate.set()
        name, former = orders.next_done()
        assert name == "long"
        assert former is not reader


def test_a_thread_that_sleeps_watches_again_at_the_next_order(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "LOOKS_MAX", 0)
    for number in range(3):
        until_sync(lambda: orders.relay._sleeps)
        gate = threading.Event()
        orders.give("long", lambda gate=gate: gate.wait(SECONDS) and None)  # type: ignore[misc]
        orders.give(f"behind {number}")
        assert orders.next_done()[0] == f"behind {number}"
        gate.set()
        assert orders.next_done()[0] == "long"


def test_an_order_that_raises_is_over() -> None:
    made = Relay()

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        made.carry_out(fail)
    assert made._began is None
