"""What a run amounts to: every last word beside everything that may have been asked of the run, as one table."""

from dataclasses import replace
from typing import Any

import pytest

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.lifecycle import ATTEMPTS_MAX, Event, QueryState, ResultState
from queryengine.executing.crashes import Crashes
from queryengine.executing.outcomes import LastWord, Outcome, outcome, timed_out
from queryengine.live.query import Stop, cancelled
from queryengine.results.segment import ResultTotals
from queryengine.workers.events import Ended, Failed, Lost
from tests.unit.core_values import NOW_US, query

NOW = NOW_US + 5
ENDED = Ended(ResultTotals(rows=7, pages=1, bytes=90, rows_scanned=8, bytes_scanned=800), confirmed=True)
WRONG = Failed(Failure(Reason.ENGINE_ERROR, "no such table"), confirmed=True)
LATE = Failed(Failure(Reason.QUERY_TIMEOUT, "max_execution_time"), confirmed=True)
UNREACHED = Failed(Failure(Reason.ENGINE_UNAVAILABLE, "connection refused"), confirmed=True)
LOST = Lost("the worker process died")

CANCEL = Stop(cancelled("enough"), QueryState.CANCELLED)
OUT_OF_TIME = Stop(Failure(Reason.QUERY_TIMEOUT, "too long"), QueryState.FAILED)
FULL = Stop(Failure(Reason.SPOOL_FULL, "no room"), QueryState.FAILED)
DRAIN = Stop(Failure(Reason.SERVER_LOST, "the server stopped"), QueryState.QUEUED)

NOT_ENDED: tuple[LastWord, ...] = (WRONG, LATE, UNREACHED, LOST)


def decided(
    last: LastWord,
    *,
    stop: Stop | None = None,
    wish: Stop | None = None,
    attempt: int = 1,
    shown: bool = False,
    crashes: Crashes | None = None,
) -> Outcome:
    facts: dict[str, Any] = {"first_page_us": NOW_US + 1} if shown else {}
    asked = query("a1", state=QueryState.RUNNING, attempt=attempt, start_us=NOW_US, **facts)
    wish = stop if stop is not None and stop.ends_as is QueryState.CANCELLED else wish
    return outcome(asked, last, stop=stop, cancel_wish=wish, crashes=crashes or Crashes(), now_us=NOW)


def said(found: Outcome) -> tuple[Event, Reason | None]:
    failure = found.changes.get("failure")
    return found.event, failure.reason if isinstance(failure, Failure) else None


@pytest.mark.parametrize("stop", [None, CANCEL, OUT_OF_TIME, FULL, DRAIN])
@pytest.mark.parametrize("attempt", [1, ATTEMPTS_MAX])
@pytest.mark.parametrize("shown", [False, True])
def test_a_result_that_is_whole_completes_whatever_was_asked(*, stop: Stop | None, attempt: int, shown: bool) -> None:
    found = decided(ENDED, stop=stop, attempt=attempt, shown=shown)
    assert found == Outcome(
        Event.COMPLETE,
        {
            "end_us": NOW,
            "expire_us": NOW + query("a1").plan.ttl_ms * 1000,
            "first_page_us": NOW_US + 1 if shown else NOW,
            "result_state": ResultState.READY,
            "rows": 7,
            "pages": 1,
            "bytes": 90,
            "rows_scanned": 8,
            "bytes_scanned": 800,
            "truncation": None,
        },
    )


@pytest.mark.parametrize(
    ("last", "stop", "attempt", "shown", "event", "reason"),
    [
        # Nobody asked it to stop.
        (WRONG, None, 1, False, Event.FAIL, Reason.ENGINE_ERROR),
        (WRONG, None, 1, True, Event.FAIL, Reason.ENGINE_ERROR),
        (LATE, None, 1, False, Event.FAIL, Reason.QUERY_TIMEOUT),
        (LOST, None, 1, False, Event.FAIL, Reason.WORKER_LOST),
        (LOST, None, 1, True, Event.FAIL, Reason.WORKER_LOST),
        # What did not reach an engine runs again while attempts are left and no row was shown.
        (UNREACHED, None, 1, False, Event.ORPHAN, None),
        (UNREACHED, None, ATTEMPTS_MAX - 1, False, Event.ORPHAN, None),
        (UNREACHED, None, ATTEMPTS_MAX, False, Event.FAIL, Reason.ENGINE_UNAVAILABLE),
        (UNREACHED, None, 1, True, Event.FAIL, Reason.ENGINE_UNAVAILABLE),
        # Whoever asked for its end decides what it is called.
        *(
            (last, CANCEL, 1, shown, Event.CANCEL, Reason.QUERY_CANCELLED)
            for last in NOT_ENDED
            for shown in (False, True)
        ),
        *((last, OUT_OF_TIME, 1, False, Event.FAIL, Reason.QUERY_TIMEOUT) for last in NOT_ENDED),
        *((last, FULL, 1, True, Event.FAIL, Reason.SPOOL_FULL) for last in NOT_ENDED),
        # A drain puts back what has shown no row, whichever attempt it is.
        *((last, DRAIN, ATTEMPTS_MAX, False, Event.ORPHAN, None) for last in NOT_ENDED),
        *((last, DRAIN, 1, True, Event.FAIL, Reason.SERVER_LOST) for last in NOT_ENDED),
    ],
)
def test_what_a_run_amounts_to(
    *, last: LastWord, stop: Stop | None, attempt: int, shown: bool, event: Event, reason: Reason | None
) -> None:
    found = decided(last, stop=stop, attempt=attempt, shown=shown)
    assert said(found) == (event, reason)
    if event is Event.ORPHAN:
        assert found.changes == {"start_us": None, "owner": ""}
    else:
        assert found.changes["end_us"] == NOW
        assert found.changes["result_state"] is ResultState.NONE
        assert found.changes["first_page_us"] == (NOW_US + 1 if shown else None)


@pytest.mark.parametrize(("last", "stop"), [(UNREACHED, None), (LOST, DRAIN), (WRONG, DRAIN)])
def test_what_would_run_again_and_was_cancelled_is_cancelled(last: LastWord, stop: Stop | None) -> None:
    assert said(decided(last, stop=stop, wish=CANCEL)) == (Event.CANCEL, Reason.QUERY_CANCELLED)


def test_the_engines_own_timeout_is_reported_as_the_limit_that_was_asked_for() -> None:
    failure = decided(LATE).changes["failure"]
    source = "limits.execution_timeout_seconds"
    assert failure.message == (
        f"the query ran longer than its execution_timeout of 600 s, which {source} sets;"
        " submit it with a longer execution_timeout, or have it read less"
    )
    assert failure.metadata == {"timeout_ms": "600000", "limit": "execution_timeout", "source": source}


@pytest.mark.parametrize(
    ("asked", "sources", "limit", "source", "advice"),
    [
        ({"execution_timeout_ms": 600_000}, {}, "execution_timeout", "request", "longer execution_timeout"),
        ({}, {"execution_timeout": "tenants.a.execution_timeout_seconds"}, "execution_timeout", "", "longer"),
        ({}, {"execution_timeout": "limits.interactive_timeout_seconds"}, "interactive_timeout", "", "`interactive`"),
        ({}, {"execution_timeout": "tenants.a.interactive_timeout_seconds"}, "interactive_timeout", "", "without"),
    ],
)
def test_a_timeout_names_the_limit_and_who_set_it(
    asked: dict[str, int], sources: dict[str, str], limit: str, source: str, advice: str
) -> None:
    base = query("a1")
    late = base.but(plan=replace(base.plan, limit_sources=sources), submission=replace(base.submission, **asked))
    failure = timed_out(late)
    found = source or sources["execution_timeout"]
    assert failure.metadata == {"timeout_ms": "600000", "limit": limit, "source": found}
    assert f"its {limit} of 600 s" in failure.message
    assert ("the request set" if found == "request" else f"{found} sets") in failure.message
    assert advice in failure.message


@pytest.mark.parametrize(
    ("lost", "retryable"),
    [
        # By whom each worker was lost, in order; whether the last of them says that it may be tried again.
        ([True], True),
        ([True, True], False),
        ([False, False, False], True),
        ([True, False], True),
        ([False, True], True),
        ([True, False, True], False),
    ],
)
def test_a_statement_is_blamed_for_what_it_did_alone_twice(*, lost: list[bool], retryable: bool) -> None:
    crashes = Crashes()
    for by_itself in lost:
        failure = decided(Lost("the worker process died", by_itself), crashes=crashes).changes["failure"]
    assert failure.reason is Reason.WORKER_LOST
    assert failure.retryable is retryable
