"""The queue of an engine: turns of tenants, priorities within one, and places that agree with the order of starts."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from queryengine.executing.queue import EngineQueue
from queryengine.executing.shares import Length
from queryengine.live.query import LiveQuery
from tests import store_values


def waiting(number: int, tenant: str, priority: int = 0) -> LiveQuery:
    return LiveQuery(store_values.query(number, asked=store_values.submission(priority=priority), tenant=tenant))


def drained(queue: EngineQueue) -> list[LiveQuery]:
    order = []
    while (live := queue.next(lambda _: True)) is not None:
        queue.pop(live)
        order.append(live)
    return order


def played_out(arrived: list[tuple[str, int]]) -> list[int]:
    """The order of starts by definition: tenants in turns, each with its best query."""
    turns = deque(dict.fromkeys(tenant for tenant, _ in arrived))
    left = {
        tenant: sorted((-priority, number) for number, (other, priority) in enumerate(arrived) if other == tenant)
        for tenant in turns
    }
    order = []
    while turns:
        tenant = turns.popleft()
        order.append(left[tenant].pop(0)[1])
        if left[tenant]:
            turns.append(tenant)
    return order


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-1, 1), st.sampled_from(Length)), max_size=30), st.data()
)
def test_a_place_is_how_many_start_before(arrived: list[tuple[str, int, Length]], data: st.DataObject) -> None:
    queue = EngineQueue()
    lives = [waiting(number, tenant, priority) for number, (tenant, priority, _) in enumerate(arrived)]
    for live, (_, _, length) in zip(lives, arrived, strict=True):
        queue.push(live, length)
    order = [lives[number] for number in played_out([(tenant, priority) for tenant, priority, _ in arrived])]
    assert [queue.position(live) for live in order] == list(range(len(order)))
    started = data.draw(st.integers(0, len(order)))
    for live in order[:started]:
        assert queue.next(lambda _: True) is live
        queue.pop(live)
    assert [queue.position(live) for live in order[started:]] == list(range(len(order) - started))
    assert drained(queue) == order[started:]
    assert not len(queue)


def test_who_may_not_run_lets_others_pass() -> None:
    queue = EngineQueue()
    long, short, other = waiting(1, "a"), waiting(2, "a"), waiting(3, "b")
    queue.push(long, Length.LONG)
    queue.push(short, Length.USUAL)
    queue.push(other, Length.USUAL)
    assert queue.next(lambda live: live is not long) is short
    assert queue.next(lambda live: live.query.tenant == "b") is other
    assert queue.next(lambda _: False) is None


def test_only_the_first_of_a_length_is_asked() -> None:
    queue, asked = EngineQueue(), []
    for number in range(100):
        queue.push(waiting(number, "ab"[number % 2]), Length(number % 3))
    queue.next(lambda live: bool(asked.append(live)))
    assert len(asked) == 6


def test_what_is_removed_leaves_no_trace() -> None:
    queue = EngineQueue()
    first, second = waiting(1, "a"), waiting(2, "a")
    queue.push(first, Length.USUAL)
    queue.push(second, Length.LONG)
    assert queue.ahead_in_tenant(second) == 1
    assert queue.remove(first)
    assert not queue.remove(first)
    assert first not in queue
    assert second in queue
    assert queue.position(second) == 0
    assert queue.remove(second)
    assert not queue._lines


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 2)), max_size=40),
    st.fixed_dictionaries({tenant: st.sampled_from([1, 2, 3, 7]) for tenant in "abcd"}),
    st.lists(st.booleans(), max_size=60),
)
def test_places_agree_with_starts_whatever_the_weights(
    arrived: list[tuple[str, int]], weights: dict[str, int], starts: list[bool]
) -> None:
    queue, number = EngineQueue(weights.__getitem__), 0
    arriving = iter(arrived)
    for is_start in starts:
        if is_start and (live := queue.next(lambda _: True)) is not None:
            queue.pop(live)
        elif (each := next(arriving, None)) is not None:
            number += 1
            queue.push(waiting(number, *each), 0)
    places = {live: queue.position(live) for live in queue._ranks}
    assert drained(queue) == sorted(places, key=places.__getitem__)
    assert sorted(places.values()) == list(range(len(places)))


def test_turns_are_shared_by_weight() -> None:
    queue = EngineQueue({"a": 3, "b": 1}.__getitem__)
    for number in range(40):
        queue.push(waiting(number, "ab"[number % 2]), 0)
    tenants = [live.query.tenant for live in drained(queue)[:20]]
    assert (tenants.count("a"), tenants.count("b")) == (15, 5)
    # Mixed, not one after the other.
    assert "aaaa" not in "".join(tenants)


def test_nobody_saves_turns_up_while_it_has_nothing_waiting_or_may_not_run() -> None:
    queue = EngineQueue()
    for number in range(30):
        queue.push(waiting(number, "ab"[number % 2]), 0)
    for _ in range(10):
        live = queue.next(lambda each: each.query.tenant == "b")
        assert live is not None
        queue.pop(live)
    for number in range(100, 110):
        queue.push(waiting(number, "c"), 0)
    tenants = "".join(live.query.tenant for live in drained(queue)[:6])
    assert sorted(tenants) == list("aabbcc")


def test_who_comes_back_has_no_turn_more() -> None:
    queue = EngineQueue()
    for number in range(20):
        queue.push(waiting(number, "a"), 0)
    started = ""
    for number in range(100, 110):
        queue.push(waiting(number, "b"), 0)
        live = queue.next(lambda _: True)
        assert live is not None
        started += live.query.tenant
        queue.pop(live)
    assert started.count("b") == 5


def test_what_has_waited_for_long_goes_before_what_is_more_urgent() -> None:
    queue = EngineQueue(aging_us=60)
    old = LiveQuery(store_values.query(1, submit_us=0))
    urgent = [
        LiveQuery(store_values.query(number, asked=store_values.submission(priority=2), submit_us=at))
        for number, at in ((2, 100), (3, 119), (4, 121))
    ]
    for live in (*urgent, old):
        queue.push(live, 0)
    assert drained(queue) == [urgent[0], urgent[1], old, urgent[2]]


def test_other_kinds_and_head_starts_change_no_arrival() -> None:
    queue = EngineQueue(aging_us=0)
    first, second = waiting(1, "a"), waiting(2, "a", priority=9)
    queue.push(first, "x")
    queue.push(second, "x")
    assert queue.next(lambda _: True) is first
    queue.adopt(lambda live: live.query.query_id, aging_us=60)
    assert queue.next(lambda _: True) is second
    assert queue.next(lambda live: live is first) is first
    queue.adopt(lambda _: "x", aging_us=0)
    assert drained(queue) == [first, second]
