"""What becomes of the queries of a server that is gone: its verdicts, as tables."""

import pytest

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.lifecycle import Event, QueryState, ResultState
from queryengine.executing.recovery import verdict_on_running, verdict_on_waiting
from queryengine.results.segment import PageEntry, ResultTotals, StoredResult
from tests.unit.core_values import NOW_US, query

PAGE = PageEntry(0, 0, 100, 10, 0, 7, 0)
EMPTY = StoredResult(None, (), None)
BEGUN = StoredResult(b"", (PAGE,), None)
WHOLE = StoredResult(b"", (PAGE,), ResultTotals(rows=7, pages=1, bytes=90, rows_scanned=8, bytes_scanned=800))
WHOLE_WITHOUT_ROWS = StoredResult(b"", (), ResultTotals(rows=0, pages=0, bytes=0))
NOW = NOW_US + 5


@pytest.mark.parametrize(
    ("stored", "attempt", "cancelled", "event", "reason"),
    [
        # A result that is whole counts, whatever was asked meanwhile, and whichever attempt it is.
        (WHOLE, 1, False, Event.COMPLETE, None),
        (WHOLE, 3, True, Event.COMPLETE, None),
        (WHOLE_WITHOUT_ROWS, 1, False, Event.COMPLETE, None),
        # A cancel that was recorded holds.
        (EMPTY, 1, True, Event.CANCEL, Reason.QUERY_CANCELLED),
        (BEGUN, 1, True, Event.CANCEL, Reason.QUERY_CANCELLED),
        # What has shown no row may run again, three times in all.
        (EMPTY, 1, False, Event.ORPHAN, None),
        (EMPTY, 2, False, Event.ORPHAN, None),
        (EMPTY, 3, False, Event.FAIL, Reason.SERVER_LOST),
        # What has shown rows may not.
        (BEGUN, 1, False, Event.FAIL, Reason.SERVER_LOST),
    ],
)
def test_what_becomes_of_a_run(
    *, stored: StoredResult, attempt: int, cancelled: bool, event: Event, reason: Reason | None
) -> None:
    facts = {"cancel_us": NOW_US + 1, "cancel_reason": "enough"} if cancelled else {}
    found, changes = verdict_on_running(query("a1", state=QueryState.RUNNING, attempt=attempt, **facts), stored, NOW)
    assert found is event
    failure = changes.get("failure")
    assert (failure.reason if isinstance(failure, Failure) else None) is reason
    # Whatever ends has an end, and whatever waits again has no start.
    assert changes.get("end_us") == (None if event is Event.ORPHAN else NOW)
    assert ("start_us" in changes) is (event is Event.ORPHAN)


def test_a_completion_has_what_the_end_marker_says() -> None:
    asked = query("a1", state=QueryState.RUNNING, attempt=1)
    _, changes = verdict_on_running(asked, WHOLE, NOW)
    assert changes == {
        "end_us": NOW,
        "expire_us": NOW + asked.plan.ttl_ms * 1000,
        "first_page_us": NOW,
        "result_state": ResultState.READY,
        "rows": 7,
        "pages": 1,
        "bytes": 90,
        "rows_scanned": 8,
        "bytes_scanned": 800,
        "truncation": None,
    }
    assert verdict_on_running(asked, WHOLE_WITHOUT_ROWS, NOW)[1]["first_page_us"] is None


@pytest.mark.parametrize(
    ("engine", "cancelled", "event", "reason"),
    [
        ("main", False, None, None),
        ("main", True, Event.CANCEL, Reason.QUERY_CANCELLED),
        ("gone", False, Event.FAIL, Reason.UNKNOWN_ENGINE),
        ("gone", True, Event.CANCEL, Reason.QUERY_CANCELLED),
    ],
)
def test_what_becomes_of_what_waited(
    *, engine: str, cancelled: bool, event: Event | None, reason: Reason | None
) -> None:
    facts = {"cancel_us": NOW_US + 1, "cancel_reason": "enough"} if cancelled else {}
    verdict = verdict_on_waiting(query("a1", engine=engine, **facts), {"main"}, NOW)
    if event is None:
        assert verdict is None
        return
    assert verdict is not None
    found, changes = verdict
    assert found is event
    assert (changes["end_us"], changes["failure"].reason) == (NOW, reason)
