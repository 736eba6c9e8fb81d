"""Limits of tenants, subjects and API keys: which hold for whom, who waits for which, and for how long they did."""

from dataclasses import replace
from typing import Any

import pytest

from queryengine.domain.consumption import HOUR_US, Consumption
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.query import Query
from queryengine.executing.dispatcher import Dispatcher, Start, WaitingPlace
from queryengine.executing.held_time import HeldClock
from queryengine.executing.queue import EngineQueue
from queryengine.executing.shares import Shares
from queryengine.executing.throttle import Throttle
from queryengine.live.query import LiveQuery
from queryengine.policy.limits.accounts import Bound, Scope, TenantLimits, TenantRules
from queryengine.policy.limits.rates import SubmitRates
from tests.unit.core_values import NOW_US, HandClock, query, share_limits
from tests.unit.fake_slots import FakeSlots

SERVICE = {"running": Bound(10, "limits.tenant_running"), "queued": Bound(100, "limits.tenant_queued")}


def of(name: str, *, subject: str = "", api_key: str = "", queue_timeout_ms: int = 600_000) -> Query:
    """A query of the tenant that its name begins with."""
    made = query(name, queue_timeout_ms=queue_timeout_ms)
    return made.but(submission=replace(made.submission, subject=subject, api_key=api_key))


class World:
    """An engine of some slots and the dispatcher over it, with limits of tenants."""

    def __init__(self, rules: dict[str, TenantRules] | None = None, *, slots: int = 8) -> None:
        self.clock = HandClock(NOW_US // HOUR_US * HOUR_US)
        self.limits = TenantLimits(SERVICE, rules)
        self.throttle = Throttle(self.limits, self.clock)
        self.shares = Shares(["main"], share_limits(), self.clock.now_us, self.throttle)
        self.queue = EngineQueue(self.throttle.weight)
        self.dispatcher = Dispatcher(
            {"main": self.queue}, slots=FakeSlots({"main": slots}), shares=self.shares, clock=self.clock
        )
        self.running: dict[str, Any] = {}
        self.lives: dict[str, LiveQuery] = {}

    def submit(self, name: str, **who: Any) -> bool:
        """Whether it runs at once; else it waits."""
        found = self.lives[name] = LiveQuery(of(name, **who).but(submit_us=self.clock.now))
        place = self.dispatcher.reserve(found.query)
        if isinstance(place, WaitingPlace):
            self.dispatcher.enqueue(found, place)
            return False
        self.running[name] = place
        return True

    def end(self, name: str) -> None:
        self.dispatcher.free(self.lives[name].query, self.running.pop(name))

    def decide(self) -> str:
        started = []
        self.dispatcher.look()
        while (decision := self.dispatcher.decide()) is not None:
            name = decision.live.query.query_id
            if isinstance(decision, Start):
                self.running[name] = decision.slot
            started.append(name)
        return " ".join(started)


def rules(limits: dict[str, Any] | None = None, **kinds: dict[str, dict[str, Any]]) -> TenantRules:
    return TenantRules(limits=limits or {}, **kinds)


NESTED = {
    "*": rules({"running": 5, "row_limit": 9}, subjects={"*": {"running": 2}, "bob": {"queued": 1}}),
    "acme": rules(
        {"running": 7},
        subjects={"ann": {"running": 3, "row_limit": 99}},
        api_keys={"reports": {"row_limit": 1000}},
    ),
}


@pytest.mark.parametrize(
    ("caller", "name", "expected"),
    [
        # The tenant's own, else that of every tenant, else the service's.
        (("acme", "", ""), "running", [(7, "tenants.acme.running")]),
        (("other", "", ""), "running", [(5, "tenants.*.running")]),
        (("other", "", ""), "queued", [(100, "limits.tenant_queued")]),
        # A subject's hold beside those of its tenant.
        (("acme", "ann", ""), "running", [(7, "tenants.acme.running"), (3, "tenants.acme.subjects.ann.running")]),
        (("acme", "carl", ""), "running", [(7, "tenants.acme.running"), (2, "tenants.*.subjects.*.running")]),
        (("acme", "bob", ""), "queued", [(100, "limits.tenant_queued"), (1, "tenants.*.subjects.bob.queued")]),
        (("acme", "ann", "reports"), "row_limit", [
            (9, "tenants.*.row_limit"),
            (99, "tenants.acme.subjects.ann.row_limit"),
            (1000, "tenants.acme.api_keys.reports.row_limit"),
        ]),
        (("acme", "", "other"), "row_limit", [(9, "tenants.*.row_limit")]),
        # What stands for everybody is not a name.
        (("*", "", ""), "running", [(5, "tenants.*.running")]),
        (("acme", "", ""), "weight", []),
    ],
)  # fmt: skip
def test_limits_come_from_the_nearest_who_has_them(
    caller: tuple[str, str, str], name: str, expected: list[tuple[int, str]]
) -> None:
    accounts = TenantLimits(SERVICE, NESTED).of(*caller)
    assert [tuple(bound) for _, bound in accounts.bounds(name)] == expected
    nearest = accounts.nearest(name)
    assert (None if nearest is None else tuple(nearest)) == (expected[-1] if expected else None)


def test_other_limits_hold_for_callers_that_are_known() -> None:
    limits = TenantLimits(SERVICE)
    assert limits.of("acme").nearest("running") == (10, "limits.tenant_running")
    limits.adopt(SERVICE, NESTED)
    assert limits.of("acme").nearest("running") == (7, "tenants.acme.running")


def test_each_limit_on_running_queries_holds() -> None:
    world = World({"a": rules({"running": 3}, subjects={"ann": {"running": 1}}, api_keys={"key": {"running": 1}})})
    assert world.submit("a1", subject="ann")
    assert not world.submit("a2", subject="ann")
    assert not world.submit("a3", subject="bob", api_key="key")
    assert world.decide() == "a3"
    assert not world.submit("a4", subject="carl", api_key="key")
    # Past them goes who is at no limit, up to that of the tenant.
    assert world.decide() == ""
    assert not world.submit("a5", subject="dora")
    assert world.decide() == "a5"
    assert not world.submit("a6", subject="eve")
    assert world.decide() == ""
    reasons = [world.shares.why_limited(world.lives[name].query, 8) for name in ("a2", "a6")]
    assert all(
        reason == "this tenant has as many queries running as tenants.a.running allows (3)" for reason in reasons
    )
    world.end("a5")
    assert world.decide() == "a6"
    world.end("a6")
    world.end("a1")
    assert world.decide() == "a2"
    held = world.shares.why_limited(world.lives["a4"].query, 8)
    assert held == "the API key 'key' has as many queries running as tenants.a.api_keys.key.running allows (1)"
    for name in ("a2", "a3"):
        world.end(name)
    assert world.decide() == "a4"
    world.end("a4")
    assert world.throttle.is_empty


@pytest.mark.parametrize(
    ("who", "scope"),
    [
        ({}, {}),
        ({"subject": "ann"}, {"scope": "subject", "name": "ann"}),
        ({"api_key": "k"}, {"scope": "api_key", "name": "k"}),
    ],
)
def test_waiting_queries_are_limited_by_account(who: dict[str, str], scope: dict[str, str]) -> None:
    limits: dict[str, dict[str, Any]] = {"subjects": {"ann": {"queued": 1}}, "api_keys": {"k": {"queued": 1}}}
    world = World({"a": rules({"running": 0, "queued": 1 if not who else 50}, **limits)})
    assert not world.submit("a1", **who)
    with pytest.raises(QueryEngineError) as refusal:
        world.submit("a2", **who)
    failure = refusal.value.failure
    assert (failure.reason, failure.metadata["limit"]) == (Reason.TENANT_QUEUE_FULL, "1")
    assert failure.metadata["limit_key"] in failure.message
    assert {name: failure.metadata[name] for name in scope} == scope
    if who:
        assert not world.submit("a3")


@pytest.mark.parametrize("name", ["engine_seconds_per_hour", "engine_seconds_per_day"])
@pytest.mark.parametrize("who", [{}, {"subject": "ann"}, {"api_key": "k"}])
def test_engine_time_is_limited_by_the_hour_and_the_day(name: str, who: dict[str, str]) -> None:
    limits: dict[str, Any] = {name: 100}
    world = World(
        {
            "a": rules(
                limits if not who else {},
                subjects={"ann": limits} if "subject" in who else {},
                api_keys={"k": limits} if "api_key" in who else {},
            )
        }
    )
    assert world.submit("a1", **who)
    world.clock.pass_seconds(60)
    assert world.submit("a2", **who)
    # Two that run have used 75 and 15 seconds so far.
    world.clock.pass_seconds(15)
    assert world.submit("a3", **who)
    world.clock.pass_seconds(10)
    world.end("a1")
    assert not world.submit("a4", **who, queue_timeout_ms=86_400_000)
    assert not world.decide()
    with pytest.raises(QueryEngineError) as refusal:
        world.submit("a5", **who)
    failure = refusal.value.failure
    assert failure.reason is Reason.USAGE_LIMIT
    assert failure.metadata["limit_key"].endswith(name)
    period = HOUR_US if name.endswith("hour") else 24 * HOUR_US
    left_seconds = (period - world.clock.now % period) / 1e6
    assert failure.retry_after_seconds == pytest.approx(left_seconds)
    assert not world.submit("b1")
    assert world.decide() == "b1"
    for each in ("a2", "a3"):
        world.end(each)
    world.clock.pass_seconds(left_seconds)
    assert world.decide() == "a4"
    assert world.submit("a6", **who)


def test_scanned_bytes_of_running_and_ended_queries_count() -> None:
    world = World({"a": rules({"scanned_bytes_per_hour": 1000})})
    for name in ("a1", "a2"):
        assert world.submit(name)
    world.throttle.scanned(("a", "a1"), 400)
    world.throttle.scanned(("a", "a1"), 600)
    world.end("a1")
    assert world.submit("a3")
    world.throttle.scanned(("a", "a2"), 400)
    with pytest.raises(QueryEngineError) as refusal:
        world.submit("a4")
    assert refusal.value.failure.reason is Reason.USAGE_LIMIT
    assert "scanned bytes" in refusal.value.failure.message
    # What ended and is not known is no matter.
    world.throttle.scanned(("a", "a1"), 10_000)


def test_usage_in_the_record_counts_after_a_restart() -> None:
    world = World({"a": rules({"engine_seconds_per_day": 100, "engine_seconds_per_hour": 60})})
    hour = world.clock.now // HOUR_US

    def used(at: int, seconds: int) -> Consumption:
        counts = dict.fromkeys(("queries", "failed", "cancelled", "cache_hits", "rows", "bytes_stored"), 0)
        scanned = {"bytes_scanned": 0, "bytes_scanned_hidden": 0}
        return Consumption(
            tenant="a", subject="", engine="main", hour=at, engine_us=seconds * 1_000_000, **counts, **scanned
        )

    first_of_day = hour // 24 * 24
    world.throttle.adopt([used(first_of_day - 1, 1000), used(first_of_day, 70), used(hour, 0)])
    assert world.submit("a1")
    world.throttle.adopt([used(first_of_day, 70), used(hour, 40)])
    with pytest.raises(QueryEngineError) as refusal:
        world.submit("a2")
    assert refusal.value.failure.metadata["limit_key"] == "tenants.a.engine_seconds_per_day"


def test_throttled_time_is_that_of_limits_and_not_of_slots() -> None:
    world = World({"a": rules({"running": 2}, subjects={"ann": {"running": 1}})}, slots=2)
    assert world.submit("b1")
    assert world.submit("a1", subject="ann")
    # No slot is free, and its subject is at its limit.
    assert not world.submit("a2", subject="ann")
    assert not world.submit("a3", subject="bob")
    world.clock.pass_seconds(3)
    assert [world.lives[name].throttled_us() for name in ("a2", "a3")] == [3_000_000, 0]
    world.end("b1")
    assert world.decide() == "a3"
    # Now both the subject and the tenant are at theirs, which counts once.
    world.clock.pass_seconds(4)
    assert world.lives["a2"].throttled_us() == 7_000_000
    world.end("a3")
    world.clock.pass_seconds(5)
    world.end("a1")
    assert world.decide() == "a2"
    assert world.lives["a2"].throttled_us() == 12_000_000
    assert world.lives["a3"].throttled_us() == 0


def test_an_hour_that_is_used_up_is_throttled_time() -> None:
    world = World({"a": rules({"engine_seconds_per_hour": 10})})
    assert world.submit("a1")
    world.clock.pass_seconds(20)
    world.end("a1")
    assert not world.submit("a2", queue_timeout_ms=86_400_000)
    world.clock.pass_seconds(3580)
    assert world.decide() == "a2"
    assert world.lives["a2"].throttled_us() == 3580 * 1_000_000


def test_other_limits_keep_what_was_counted() -> None:
    world = World({"a": rules({"running": 1})})
    assert world.submit("a1")
    assert not world.submit("a2", subject="ann")
    assert not world.submit("a3", subject="ann")
    world.clock.pass_seconds(2)
    world.limits.adopt(SERVICE, {"a": rules(subjects={"ann": {"running": 1}})})
    world.dispatcher.adopt(share_limits(), aging_us=0)
    assert world.decide() == "a2"
    world.clock.pass_seconds(2)
    assert world.lives["a3"].throttled_us() == 4_000_000
    world.end("a1")
    assert world.decide() == ""
    world.end("a2")
    assert world.decide() == "a3"
    world.end("a3")
    assert world.throttle.is_empty


def test_clocks_count_what_overlaps_once() -> None:
    above = HeldClock(None)
    clock = HeldClock(above)
    for at, which, holds in [
        (0, above, True), (2, clock, True), (5, above, False), (9, clock, False), (12, above, True), (12, above, True),
    ]:  # fmt: skip
        which.hold(holds=holds, now_us=at)
    assert [(each.at(12), each.at(20)) for each in (above, clock)] == [(5, 13), (9, 17)]


def test_submits_are_limited_by_rate_and_burst() -> None:
    clock = HandClock()
    limits = TenantLimits(
        {}, {"a": rules({"submits_per_second": 2, "submit_burst": 3}, subjects={"ann": {"submits_per_second": 0.5}})}
    )
    rates = SubmitRates(clock.monotonic)

    def taken(count: int, *caller: str) -> int:
        for number in range(count):
            try:
                rates.take(limits.of(*caller))
            except QueryEngineError as cause:
                failure = cause.failure
                assert failure.reason is Reason.SUBMIT_RATE_LIMIT
                assert failure.metadata["limit_key"] in failure.message
                waits.append(failure.retry_after_seconds or 0)
                return number
        return count

    waits: list[float] = []
    assert taken(10, "a", "ann") == 1
    # One that was refused for its subject took nothing of its tenant.
    assert taken(10, "a") == 2
    assert waits == pytest.approx([2.0, 0.5])
    assert taken(1000, "b") == 1000
    clock.pass_seconds(0.5)
    assert taken(10, "a") == 1
    clock.pass_seconds(100)
    assert taken(10, "a") == 3
    # In the long run it is the rate.
    granted = 0
    for _ in range(100):
        clock.pass_seconds(0.25)
        granted += taken(1, "a")
    assert granted in (49, 50, 51)


def test_scopes_have_a_name_for_people() -> None:
    limits = TenantLimits(SERVICE, {"a": rules(subjects={"*": {"queued": 1}}, api_keys={"*": {"queued": 1}})})
    names = [str(each) for each in limits.of("a", "ann", "k").limited]
    assert names == ["this tenant", "the subject 'ann'", "the API key 'k'"]
    assert [each.id[0] for each in limits.of("a", "ann", "k").limited] == list(Scope)
