"""Who held what a query waited for: its tenant's own runs by id, others as a number, all of it bounded."""

import pytest

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.query import Query
from queryengine.executing.discretion import Discretion
from queryengine.executing.shares import Rule, ShareLimits, Shares
from queryengine.executing.waited_out import engine_was_down, waited_out
from tests import store_values
from tests.unit.core_values import HandClock, throttle

NOW_US = 1_800_000_000_000_000
HOUR_MS = 3_600_000
WAITED = (
    "the query waited longer than its queue_timeout of 5 seconds, which limits.queue_timeout_seconds sets"
    " (submit it again, or with a longer one)"
)


def query(number: int, tenant: str, *, engine: str = "main", long: bool = False) -> Query:
    timeout_ms = 24 * HOUR_MS if long else 1_800_000
    plan = store_values.plan(engine=engine, queue_timeout_ms=5000, execution_timeout_ms=timeout_ms)
    return store_values.query(number, planned=plan, tenant=tenant)


def failure(
    running: list[Query],
    *,
    slots: int,
    asks: Query | None = None,
    strict: bool = False,
    tenant_running: int = 10,
    **limits: int,
) -> Failure:
    """Of a query of tenant a; each run began ten seconds after the one before, the last ten seconds ago."""
    given = {"tenant_slots_percent": 100, "long_run_ms": HOUR_MS}
    given |= {"shared_us": 0, "short_run_ms": 0, **limits}
    counted = throttle(HandClock(NOW_US), running=tenant_running)
    shares = Shares(["main", "side"], ShareLimits(**given), lambda: NOW_US, counted, Discretion(lambda: strict))
    if "shared_us" in limits:
        shares.asked(query(98, "b"))
    for number, each in enumerate(running):
        shares.begin(each, NOW_US - (len(running) - number) * 10_000_000)
    asked = asks or query(99, "a")
    awaited, held = shares.kept_waiting_by(asked, slots), shares.limit_of(asked)
    return waited_out(asked, *awaited, slots, NOW_US, held=held, may_name=shares.may_name)


def name(number: int) -> str:
    return query(number, "a").query_id


def test_own_runs_are_named_with_their_times_and_others_counted() -> None:
    found = failure([query(1, "b"), query(2, "a"), query(3, "c"), query(4, "a", long=True)], slots=4)
    assert found.reason is Reason.QUEUE_TIMEOUT
    assert found.message == (
        f"{WAITED}; 4 of 4 slots of engine 'main' are in use: "
        f"{name(2)} (running for 30.0 s, execution_timeout 1800 s), "
        f"{name(4)} (running for 10.0 s, execution_timeout 86400 s), 2 queries of other tenants"
    )
    assert found.metadata == {
        "timeout_ms": "5000",
        "source": "limits.queue_timeout_seconds",
        "engine": "main",
        "slots": "4",
        "holders": "2",
        "other_tenants_holders": "2",
        "holder_ids": f"{name(2)},{name(4)}",
        "holder_running_ms": "30000,10000",
        "holder_timeout_ms": "1800000,86400000",
    }


def test_of_other_tenants_nothing_but_their_number_is_said() -> None:
    found = failure([query(1, "b"), query(2, "c")], slots=2)
    assert found.message == f"{WAITED}; 2 of 2 slots of engine 'main' are in use: 2 queries of other tenants"
    assert "holder_ids" not in found.metadata
    assert not any(each in f"{found}" for each in (name(1), name(2)))


def test_many_runs_are_as_short_as_three() -> None:
    found = failure([query(number, "a") for number in range(1, 65)], slots=64, tenant_running=1000)
    assert found.metadata["holders"] == "64"
    assert found.metadata["holder_ids"] == ",".join(name(number) for number in (1, 2, 3))
    assert found.message.endswith(", 61 more queries of this tenant")
    assert len(found.message) < 600
    assert not any("…" in value for value in found.metadata.values())


@pytest.mark.parametrize(
    ("running", "asks", "limits", "rule", "text"),
    [
        (
            [query(1, "a", engine="side"), query(2, "a"), query(3, "b")],
            query(99, "a"),
            {"tenant_running": 2},
            Rule.TENANT_RUNNING,
            f"this tenant has as many queries running as limits.tenant_running allows (2): {name(1)} (",
        ),
        (
            [query(1, "a"), query(2, "a"), query(3, "b")],
            query(99, "a"),
            {"tenant_slots_percent": 50},
            Rule.TENANT_SLOTS,
            "2 of 4 slots of engine 'main' are in use by this tenant, as many as limits.tenant_slots_percent allows: ",
        ),
        (
            [query(1, "a"), query(2, "a"), query(3, "a")],
            query(99, "a"),
            {"shared_us": 1},
            Rule.LEFT_TO_OTHERS,
            "3 of 4 slots of engine 'main' are in use, and limits.shared_seconds leaves the last one to tenants who",
        ),
        (
            [query(1, "b", long=True), query(2, "a", long=True), query(3, "b", long=True), query(4, "b")],
            query(99, "a", long=True),
            {},
            Rule.LONG_RUNS,
            "3 of 4 slots of engine 'main' are in use by queries that may run for long, as many as",
        ),
    ],
)
def test_the_limit_that_kept_it_waiting_is_named(
    running: list[Query], asks: Query, limits: dict[str, int], rule: Rule, text: str
) -> None:
    found = failure(running, slots=4, asks=asks, **limits)
    assert found.message.startswith(f"{WAITED}; {text}")
    assert found.metadata["limit"] == rule.value


def test_what_nothing_held_says_so_by_silence() -> None:
    found = failure([], slots=2)
    assert found.message == WAITED
    assert (found.metadata["holders"], found.metadata["other_tenants_holders"]) == ("0", "0")


def test_an_engine_that_was_down_is_named() -> None:
    found = engine_was_down(query(1, "a"), "connection refused")
    assert found.reason is Reason.ENGINE_UNAVAILABLE
    assert found.message == "engine 'main' could not be used within its queue_timeout of 5 seconds: connection refused"


def of(number: int, subject: str, **labels: str) -> Query:
    asked = store_values.submission(subject=subject, labels=labels)
    return store_values.query(
        number, asked=asked, planned=store_values.plan(engine="main", queue_timeout_ms=5000), tenant="a"
    )


@pytest.mark.parametrize(
    ("asks", "named", "held"),
    [
        (of(99, "ann"), [2, 3], "2 more queries of this tenant, 1 query of other tenants"),
        # Whoever reads a shared query need not see the other queries of its subject.
        (of(99, "ann", shared="true"), [3], "3 more queries of this tenant, 1 query of other tenants"),
        (of(99, ""), [3], "3 more queries of this tenant, 1 query of other tenants"),
    ],
)
def test_where_callers_are_verified_a_failure_names_what_all_who_see_it_may_see(
    asks: Query, named: list[int], held: str
) -> None:
    running = [query(1, "b"), of(2, "ann"), of(3, "bob", shared="true"), of(4, "bob"), of(5, "")]
    found = failure(running, slots=5, asks=asks, strict=True)
    assert found.metadata["holder_ids"] == ",".join(map(name, named))
    assert len(found.metadata["holder_running_ms"].split(",")) == len(found.metadata["holder_timeout_ms"].split(","))
    assert (found.metadata["holders"], found.metadata["other_tenants_holders"]) == ("4", "1")
    assert found.message.endswith(held)
    assert not any(name(number) in found.message for number in {1, 2, 3, 4, 5} - set(named))


def test_a_failure_that_may_name_nobody_has_numbers_alone() -> None:
    found = failure([query(1, "b"), of(2, "bob"), of(3, "bob")], slots=3, asks=of(99, "ann"), strict=True)
    held = "2 queries of this tenant, 1 query of other tenants"
    assert found.message == f"{WAITED}; 3 of 3 slots of engine 'main' are in use: {held}"
    assert not found.metadata.keys() & {"holder_ids", "holder_running_ms", "holder_timeout_ms"}
