"""The dispatcher's decisions, as tables: who starts in which order beside whom, who is given up, who is refused."""

from typing import Any

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.executing.dispatcher import Dispatcher, GiveUp, Start, WaitingPlace
from queryengine.executing.queue import EngineQueue
from queryengine.executing.shares import Shares
from queryengine.live.query import LiveQuery
from queryengine.policy.limits.accounts import Bound
from tests.unit.core_values import HandClock, live, query, share_limits, throttle
from tests.unit.fake_slots import FakeSlots


class World:
    """Engines `main` and `side`, and what has been decided over them so far."""

    def __init__(
        self, *, main: int = 1, side: int = 1, tenant_queued: int = 100, tenant_running: int = 10, **limits: int
    ) -> None:
        self.clock = HandClock()
        self.slots = FakeSlots({"main": main, "side": side})
        self.throttle = throttle(self.clock, running=tenant_running, queued=tenant_queued)
        self.limits = self.throttle._limits
        self.shares = Shares(["main", "side"], share_limits(**limits), self.clock.now_us, self.throttle)
        self.queues = {"main": EngineQueue(), "side": EngineQueue()}
        self.dispatcher = Dispatcher(self.queues, slots=self.slots, shares=self.shares, clock=self.clock)
        self.running: dict[str, Any] = {}
        self.lives: dict[str, LiveQuery] = {}

    def submit(self, name: str, **changes: Any) -> bool:
        """Whether it has a slot at once; else it waits."""
        found = self.lives[name] = live(name, **changes)
        place = self.dispatcher.reserve(found.query)
        if isinstance(place, WaitingPlace):
            self.dispatcher.enqueue(found, place)
            return False
        self.running[name] = place
        return True

    def end(self, name: str) -> None:
        self.dispatcher.free(self.lives[name].query, self.running.pop(name))

    def decide(self) -> str:
        """What is decided until nothing is left: names, `!` before what is given up."""
        said = []
        while (decision := self.dispatcher.decide()) is not None:
            name = decision.live.query.query_id
            match decision:
                case Start(_, slot):
                    self.running[name] = slot
                    said.append(name)
                case GiveUp():
                    said.append(f"!{name}")
        return " ".join(said)

    def is_empty(self) -> bool:
        """Whether nothing is counted for anybody."""
        runs = [run for engine in self.queues for run in self.shares.runs(engine)]
        is_idle = not self.slots.taken.total() and self.throttle.is_empty
        return is_idle and not runs and not self.dispatcher._deadlines and not self.dispatcher._waits


@pytest.mark.parametrize(
    ("world", "submitted", "starts"),
    [
        # As many as there are slots at once; the rest one by one, as runs end, the oldest first.
        ({"main": 1}, "a1 a2 a3", ["a1", "a2", "a3"]),
        ({"main": 2}, "a1 a2 a3 a4", ["a1 a2", "a3", "a4"]),
        # Tenants in turns, whoever came first with how many.
        ({"main": 1}, "a1 a2 a3 b1 c1", ["a1", "a2", "b1", "c1", "a3"]),
        # Priority within a tenant, never between two.
        ({"main": 1}, "a1 a2 ah b1 bh", ["a1", "ah", "bh", "a2", "b1"]),
        # A tenant at its limit is passed over.
        ({"main": 3, "tenant_running": 1}, "a1 a2 b1 b2", ["a1 b1", "a2", "b2"]),
        # A part of the slots of one engine.
        ({"main": 2, "tenant_slots_percent": 50}, "a1 a2 a3", ["a1", "a2", "a3"]),
        # Long runs leave a slot, and a shorter query goes past a long one of its tenant.
        ({"main": 2}, "al1 al2 a3", ["al1 a3", "al2"]),
    ],
)
def test_who_starts_next(world: dict[str, int], submitted: str, starts: list[str]) -> None:
    found = World(**world)
    at_once = [name for name in submitted.split() if found.submit(name)]
    at_once += found.decide().split()
    order = [" ".join(at_once)]
    while found.running:
        found.end(next(iter(found.running)))
        if started := found.decide():
            order.append(started)
    assert order == starts
    assert found.is_empty()


def test_nobody_overtakes_what_waits_for_the_same_slot() -> None:
    found = World(main=1)
    assert found.submit("a1")
    assert not found.submit("a2")
    found.end("a1")
    # The slot is free, and decided upon before anybody may have it.
    assert not found.submit("b1")
    assert found.decide() == "a2"


def test_a_limit_for_all_engines_that_comes_free_on_one_starts_a_query_on_the_other() -> None:
    found = World(tenant_running=1)
    assert found.submit("a1", engine="main")
    assert not found.submit("a2", engine="side")
    assert found.decide() == ""
    found.end("a1")
    assert found.decide() == "a2"


@pytest.mark.parametrize(
    ("waits", "passed", "said", "reason"),
    [
        ({"a2": 10_000}, 9.9, "", None),
        ({"a2": 10_000}, 10, "!a2", Reason.QUEUE_TIMEOUT),
        ({"a2": 10_000, "a3": 2_000, "b1": 5_000}, 6, "!a3 !b1", Reason.QUEUE_TIMEOUT),
        ({"a2": 0}, 0, "!a2", Reason.QUEUE_TIMEOUT),
    ],
)
def test_who_has_waited_for_too_long(waits: dict[str, int], passed: float, said: str, reason: Reason | None) -> None:
    found = World()
    found.submit("a1")
    for name, timeout_ms in waits.items():
        found.submit(name, queue_timeout_ms=timeout_ms)
    found.clock.pass_seconds(passed)
    decisions = []
    while (decision := found.dispatcher.decide()) is not None:
        decisions.append(decision)
    assert " ".join(f"!{each.live.query.query_id}" for each in decisions) == said
    for each in decisions:
        assert isinstance(each, GiveUp)
        assert each.failure.reason is reason
        assert each.failure.metadata["other_tenants_holders"] == ("1" if each.live.query.tenant == "b" else "0")
    # It is out of its queue, and counts no more.
    assert found.dispatcher.waiting("main") == len(waits) - len(decisions)


def test_who_waited_for_an_engine_that_is_down_learns_why() -> None:
    found = World()
    found.slots.down["main"] = "connection refused"
    assert not found.submit("a1")
    assert found.decide() == ""
    found.clock.pass_seconds(10)
    decision = found.dispatcher.decide()
    assert isinstance(decision, GiveUp)
    assert decision.failure.reason is Reason.ENGINE_UNAVAILABLE
    assert "connection refused" in decision.failure.message
    assert found.is_empty()


def test_an_engine_that_comes_back_starts_what_waited() -> None:
    found = World()
    found.slots.down["main"] = "connection refused"
    found.submit("a1")
    found.slots.down.clear()
    assert found.decide() == "a1"


def test_a_tenant_may_have_so_many_wait_and_those_accepted_before_do_not_count_against_it() -> None:
    found = World(tenant_queued=1)
    found.submit("a1")
    accounts, plan = found.throttle.accounts(query("a3")), query("a3").plan
    found.dispatcher.admit(accounts, plan)
    found.submit("a2")
    for refused in (lambda: found.submit("a3"), lambda: found.dispatcher.admit(accounts, plan)):
        with pytest.raises(QueryEngineError) as refusal:
            refused()
        assert refusal.value.failure.reason is Reason.TENANT_QUEUE_FULL
    assert not found.submit("b1")
    # One that was accepted by an earlier server process is never refused.
    found.dispatcher.enqueue(live("a4"), found.dispatcher.place_of_old(query("a4")))
    assert found.dispatcher.waiting("main") == 3


def test_a_place_that_is_given_back_is_free() -> None:
    found = World(tenant_queued=1)
    found.submit("a1")
    place = found.dispatcher.reserve(query("a2"))
    assert isinstance(place, WaitingPlace)
    found.dispatcher.give_back(query("a2"), place)
    found.end("a1")
    assert found.is_empty()


def test_what_is_removed_is_never_decided_upon() -> None:
    found = World()
    for name in ("a1", "a2", "a3"):
        found.submit(name)
    assert found.dispatcher.remove(found.lives["a2"])
    assert not found.dispatcher.remove(found.lives["a2"])
    found.clock.pass_seconds(5)
    found.end("a1")
    assert found.decide() == "a3"
    found.clock.pass_seconds(5)
    assert found.decide() == ""
    found.end("a3")
    assert found.is_empty()


def test_the_next_deadline_is_that_of_who_still_waits() -> None:
    found = World()
    found.submit("a1")
    assert found.dispatcher.next_deadline() is None
    found.submit("a2", queue_timeout_ms=1_000)
    found.submit("a3", queue_timeout_ms=3_000)
    now = found.clock.monotonic()
    assert found.dispatcher.next_deadline() == now + 1
    found.dispatcher.remove(found.lives["a2"])
    assert found.dispatcher.next_deadline() == now + 3
    found.end("a1")
    assert found.decide() == "a3"
    assert found.dispatcher.next_deadline() is None


def test_a_closed_dispatcher_decides_nothing() -> None:
    found = World()
    found.submit("a1")
    found.submit("a2", queue_timeout_ms=1)
    found.dispatcher.close()
    found.end("a1")
    found.clock.pass_seconds(60)
    assert found.decide() == ""
    assert found.dispatcher.waiting("main") == 1
    # What is reserved meanwhile waits, too.
    assert isinstance(found.dispatcher.reserve(query("a3")), WaitingPlace)


def test_new_limits_decide_anew() -> None:
    found = World(main=2, tenant_running=1)
    found.submit("a1")
    found.submit("a2")
    assert found.decide() == ""
    found.limits.adopt({"running": Bound(2, "limits.tenant_running")}, {})
    found.dispatcher.adopt(share_limits(), aging_us=0)
    assert found.decide() == "a2"


def test_a_slot_whose_run_cannot_be_counted_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    found = World()
    with monkeypatch.context() as patch:
        patch.setattr(found.shares, "begin", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            found.submit("a1")
    assert found.slots.taken.total() == 0
    assert found.submit("a2")


def test_ten_thousand_that_came_and_went_leave_nothing() -> None:
    found = World(main=1)
    found.submit("a0")
    for number in range(1, 10_001):
        name = f"a{number}"
        found.submit(name)
        found.dispatcher.remove(found.lives.pop(name))
    assert len(found.dispatcher._deadlines._heap) < 200
    found.end("a0")
    assert found.is_empty()
