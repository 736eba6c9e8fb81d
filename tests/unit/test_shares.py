"""Shares of an engine's slots: who may run beside whom, and who is named."""

from typing import Any

import pytest

from queryengine.app import configured
from queryengine.domain.plan import Plan
from queryengine.domain.query import Query
from queryengine.domain.submission import Submission
from queryengine.executing.discretion import Discretion
from queryengine.executing.shares import HELD_SECONDS, Rule, ShareLimits, Shares
from queryengine.settings import Settings
from tests.unit.core_values import HandClock, throttle

HOUR_MS = 3_600_000
NOW_US = 1_800_000_000_000_000
SHARED_US = 600_000_000


def query(name: str, *, engine: str = "main", timeout_ms: int = 60_000) -> Query:
    """A query whose tenant is the first letter of its id; one with an `l` in it may run for a day."""
    submission = Submission(tenant=name[0], sql="SELECT 1")
    plan = Plan(
        engine=engine,
        engine_type="scripted",
        routing_reason="",
        queue_timeout_ms=1000,
        execution_timeout_ms=24 * HOUR_MS if "l" in name else timeout_ms,
        ttl_ms=1000,
    )
    return Query(query_id=name, submission=submission, plan=plan, fingerprint="", query_hash="", submit_us=NOW_US)


def shares(*, now_us: int = NOW_US, strict: bool = False, tenant_running: int = 10, **limits: Any) -> Shares:
    given = {
        "tenant_slots_percent": 100,
        "shared_us": SHARED_US,
        "short_run_ms": 30_000,
        "long_run_ms": HOUR_MS,
        **limits,
    }
    counted = throttle(HandClock(now_us), running=tenant_running)
    return Shares(["main", "side"], ShareLimits(**given), lambda: now_us, counted, Discretion(lambda: strict))


@pytest.mark.parametrize(
    ("slots", "running", "asks", "may"),
    [
        (2, "a1", "a2", True),
        (2, "al1", "al2", False),
        (2, "al1", "bl1", False),
        (2, "al1", "a2", True),
        (2, "a1", "al1", True),
        (2, "a1", "bl1", True),
        (1, "", "al1", True),
        (4, "al1 al2", "al3", False),
        (4, "al1 al2", "bl1", True),
        (4, "al1 al2 bl1", "bl2", False),
        (4, "al1 al2 bl1", "cl1", False),
        (4, "al1 al2 bl1", "c1", True),
        (64, "al1", "al2", True),
    ],
)
def test_long_runs_leave_a_slot_to_others(slots: int, running: str, asks: str, may: bool) -> None:
    found = shares()
    for name in running.split():
        found.begin(query(name), NOW_US)
    assert found.may_run(query(asks), slots) is may


@pytest.mark.parametrize(
    ("percent", "slots", "running", "asks", "may"),
    [
        (50, 2, "a1", "a2", False),
        (50, 2, "a1", "b1", True),
        (50, 4, "a1", "a2", True),
        (50, 4, "a1 a2", "a3", False),
        (50, 1, "", "a1", True),
        (1, 8, "", "a1", True),
        (1, 8, "a1", "a2", False),
        (99, 4, "a1 a2 a3", "a4", False),
        (100, 4, "a1 a2 a3", "a4", True),
    ],
)
def test_a_tenant_uses_its_part_of_an_engine(percent: int, slots: int, running: str, asks: str, may: bool) -> None:
    found = shares(tenant_slots_percent=percent)
    for name in running.split():
        found.begin(query(name), NOW_US)
    assert found.may_run(query(asks), slots) is may
    # Of another engine it has as many.
    assert found.may_run(query(asks, engine="side"), slots)


@pytest.mark.parametrize(
    ("slots", "running", "asked", "ago_us", "asks", "may"),
    [
        (2, "a1", "", 0, "a2", True),
        (2, "a1", "a", 0, "a2", True),
        (2, "a1", "b", 0, "a2", False),
        (2, "a1", "ba", 0, "a2", False),
        (2, "a1", "b", SHARED_US, "a2", False),
        (2, "a1", "b", SHARED_US + 1, "a2", True),
        (2, "a1", "b", 0, "as2", True),
        (2, "a1", "b", 0, "al2", False),
        (2, "a1", "b", 0, "b1", True),
        (2, "", "b", 0, "a1", True),
        (1, "", "b", 0, "a1", True),
        (8, "a1 a2 a3 a4 a5 a6", "b", 0, "a7", True),
        (8, "a1 a2 a3 a4 a5 a6 a7", "b", 0, "a8", False),
        (8, "a1 a2 a3 a4 a5 a6 a7", "bcd", 0, "b1", True),
    ],
)
def test_a_slot_is_left_to_tenants_who_asked_recently(
    *, slots: int, running: str, asked: str, ago_us: int, asks: str, may: bool
) -> None:
    found = shares()
    for tenant in asked:
        found._asked["main"][tenant] = NOW_US - ago_us
    for name in running.split():
        found.begin(query(name), NOW_US)
    assert found.may_run(query(asks, timeout_ms=30_000 if "s" in asks else 30_001), slots) is may
    # On another engine nobody asked.
    assert found.may_run(query(asks, engine="side"), 2)
    if may or len(asked) == 0:
        return
    rule, runs = found.kept_waiting_by(query(asks), slots)
    assert rule is Rule.LEFT_TO_OTHERS
    assert [run.key[1] for run in runs] == running.split()


def test_a_slot_that_comes_free_is_left_to_the_tenant_that_had_it() -> None:
    found = shares()
    found.asked(query("b"))
    for name in ("a1", "b1"):
        found.begin(query(name), NOW_US)
    # What is in use is what keeps it waiting.
    assert found.kept_waiting_by(query("a2"), 2)[0] is Rule.SLOTS
    assert not found.why_limited(query("a2"), 2)
    found.end(query("b1"))
    assert not found.may_run(query("a2"), 2)
    assert found.why_limited(query("a2"), 2)
    assert found.may_run(query("b2"), 2)


@pytest.mark.parametrize(
    ("slots", "running", "asked", "asks", "may"),
    [
        # Two tenants together leave a slot to a third who came recently, ...
        (8, "a1 a2 a3 a4 b1 b2 b3", "abc", "a5", False),
        (8, "a1 a2 a3 a4 b1 b2 b3", "abc", "b4", False),
        (8, "a1 a2 a3 a4 b1 b2 b3", "abc", "c1", True),
        (3, "a1 b1", "abc", "a2", False),
        # ... or to a newcomer, who finds it whoever is waited for, ...
        (3, "a1 b1", "abc", "d1", True),
        (2, "a1", "abc", "b1", True),
        # ... but not once everyone who came recently has one.
        (3, "a1 b1", "ab", "a2", True),
        (8, "a1 a2 a3 a4 b1 b2 c1", "abc", "a5", True),
        # More than one slot is free.
        (8, "a1 a2 a3 b1 b2 b3", "abc", "a4", True),
    ],
)
def test_the_last_free_slot_is_for_those_who_have_none(
    *, slots: int, running: str, asked: str, asks: str, may: bool
) -> None:
    found = shares()
    for tenant in asked:
        found.asked(query(tenant))
    for name in running.split():
        found.begin(query(name), NOW_US)
    assert found.may_run(query(asks), slots) is may


class SetClock:
    """A clock of which the wall time is set back while a second passes."""

    def __init__(self) -> None:
        self.wall_us, self.seconds = NOW_US, 5.0

    def now_us(self) -> int:
        return self.wall_us

    def monotonic(self) -> float:
        return self.seconds


def test_a_slot_is_left_no_longer_when_the_clock_is_set_back() -> None:
    clock = SetClock()
    settings = Settings(engines={"main": {"type": "scripted"}}, limits={"shared_seconds": 1})
    found = configured.shares(settings, clock, throttle(clock), Discretion())
    found.asked(query("b"))
    found.begin(query("a1"), NOW_US)
    clock.wall_us -= 3_600_000_000
    assert not found.may_run(query("a2"), 2)
    clock.seconds += 1.1
    assert found.may_run(query("a2"), 2)


def test_tenants_who_asked_long_ago_are_forgotten() -> None:
    found = shares()
    for tenant in "abc":
        found._asked["main"][tenant] = NOW_US - SHARED_US - 1
    found.asked(query("d"))
    assert list(found._asked["main"]) == ["d"]


def test_the_limit_of_running_queries_is_for_all_engines() -> None:
    found = shares(tenant_running=2)
    for name, engine in (("a1", "main"), ("a2", "side")):
        found.begin(query(name, engine=engine), NOW_US)
    assert not found.may_run(query("a3"), 8)
    assert found.may_run(query("b1"), 8)
    found.end(query("a2", engine="side"))
    assert found.may_run(query("a3"), 8)


def test_what_has_ended_is_forgotten() -> None:
    found = shares()
    found.begin(query("al1"), NOW_US)
    found.end(query("al1"))
    assert found.may_run(query("al2"), 2)
    assert not found.held_by("main", NOW_US + 10**9)
    assert found.throttle.is_empty


def test_who_holds_the_slots_is_named_to_whom_it_concerns() -> None:
    found = shares()
    for number, name in enumerate(("b1", "a1", "a2", "a3", "a4")):
        found.begin(query(name), NOW_US + number)
    later = NOW_US + int(HELD_SECONDS * 1e6)
    assert not found.why_held(query("a9"), later - 1)
    since = "5 slots of engine 'main' are in use, the longest since 2027-01-15T08:00:00Z"
    assert found.why_held(query("c9"), later) == since
    assert found.why_held(query("a9"), later) == f"{since}; 4 by queries of this tenant: a1, a2, a3 and 1 more"
    assert found.why_held(query("b9"), later) == f"{since}; 1 by queries of this tenant: b1"
    assert not found.why_held(query("a9", engine="side"), later)
    assert found.held_by("main", later)[:2] == ["b/b1 since 2027-01-15T08:00:00Z", "a/a1 since 2027-01-15T08:00:00Z"]


def test_where_callers_are_verified_only_what_all_may_see_is_named() -> None:
    def of(name: str, subject: str, **labels: str) -> Query:
        return query(name).but(submission=Submission(tenant="a", subject=subject, sql="SELECT 1", labels=labels))

    found = shares(strict=True)
    for number, each in enumerate((query("b1"), of("a1", "ann"), of("a2", "bob"), of("a3", "bob", shared="true"))):
        found.begin(each, NOW_US + number)
    later = NOW_US + int(HELD_SECONDS * 1e6)
    # When the run of another tenant began is as little of the caller's business as which one it is.
    held = "4 slots of engine 'main' are in use, the longest for over 60 seconds"
    assert found.why_held(of("a9", "ann"), later) == f"{held}; 3 by queries of this tenant: a1, a3 and 1 more"
    assert found.why_held(of("a9", "cid"), later) == f"{held}; 3 by queries of this tenant: a3 and 2 more"
    assert found.why_held(query("c1"), later) == held
    found.end(query("b1"))
    held = "3 slots of engine 'main' are in use, the longest since 2027-01-15T08:00:00Z"
    later += 1
    assert found.why_held(of("a9", "ann"), later) == f"{held}; 3 by queries of this tenant: a1, a3 and 1 more"
    found.end(of("a3", "bob"))
    held = "2 slots of engine 'main' are in use, the longest for over 60 seconds"
    assert found.why_held(of("a9", "cid"), later) == f"{held}; 2 by queries of this tenant"
