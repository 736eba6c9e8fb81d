"""What a run amounts to, from its worker's last word and from what was asked of it meanwhile. Decides, does nothing.

| last word | asked to stop | the query |
| --- | --- | --- |
| Ended | whatever | completes: all of its rows are there |
| any other | for a drain, and no row was shown | waits again |
| any other | by a cancel, a timeout, a full spool, a drain | is cancelled, or fails by that |
| Failed, the statement did not reach an engine, no row was shown, attempts are left | no | waits again |
| Failed | no | fails by what the engine says |
| Lost | no | fails as WORKER_LOST |

One that would wait again and was cancelled is cancelled.
"""

from dataclasses import dataclass
from typing import Any, Final

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.lifecycle import ATTEMPTS_MAX, Event, QueryState, ResultState
from queryengine.domain.query import REQUEST, Query
from queryengine.executing.crashes import Crashes
from queryengine.executing.withheld import withheld
from queryengine.live.query import Stop
from queryengine.workers.events import Ended, Failed, Lost

INTERACTIVE: Final = "interactive_timeout_seconds"
"""The name of the settings that bound queries for which somebody waits."""

LastWord = Ended | Failed | Lost
"""The event of a run after which none comes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The event to propose to the store, and what is written with it."""

    event: Event
    changes: dict[str, Any]


def outcome(
    query: Query, last: LastWord, *, stop: Stop | None, cancel_wish: Stop | None, crashes: Crashes, now_us: int
) -> Outcome:
    """What becomes of a RUNNING query. `crashes` counts what ended its worker."""
    if isinstance(last, Ended):
        return _completed(query, last, now_us)
    if _runs_again(query, last, stop):
        if cancel_wish is None:
            return Outcome(Event.ORPHAN, {"start_us": None, "owner": ""})
        # A cancel that was answered holds, also when it came after what ended the run.
        return _ended(query, Event.CANCEL, cancel_wish.failure, now_us)
    if stop is not None:
        event = Event.CANCEL if stop.ends_as is QueryState.CANCELLED else Event.FAIL
        return _ended(query, event, stop.failure, now_us)
    if isinstance(last, Lost):
        return _ended(query, Event.FAIL, crashes.failure(query, last), now_us)
    # The engine has the limit too, and its clock may be the first to strike.
    by_time = last.failure.reason is Reason.QUERY_TIMEOUT
    failure = timed_out(query) if by_time else withheld(query, last.failure)
    return _ended(query, Event.FAIL, failure, now_us)


def timed_out(query: Query) -> Failure:
    """The failure of a query that ran for too long. It names the limit that held, and who set it."""
    timeout_ms, source = query.plan.execution_timeout_ms, query.limit_source("execution_timeout")
    is_interactive = source.endswith(INTERACTIVE)
    limit = "interactive_timeout" if is_interactive else "execution_timeout"
    advice = "submit it without `interactive`" if is_interactive else "submit it with a longer execution_timeout"
    return Failure(
        Reason.QUERY_TIMEOUT,
        f"the query ran longer than its {limit} of {timeout_ms / 1000:g} s, which {said_by(source)}; {advice}, "
        "or have it read less",
        {"timeout_ms": str(timeout_ms), "limit": limit, "source": source},
    )


def said_by(source: str) -> str:
    """Who has set a bound, for a message."""
    return "the request set" if source == REQUEST else f"{source} sets"


def _runs_again(query: Query, last: Failed | Lost, stop: Stop | None) -> bool:
    """Whether another attempt may follow: never after a row was shown, as two runs are never spliced."""
    if query.first_page_us is not None:
        return False
    if stop is not None:
        return stop.ends_as is QueryState.QUEUED
    unreached = isinstance(last, Failed) and last.failure.reason is Reason.ENGINE_UNAVAILABLE
    return unreached and query.attempt < ATTEMPTS_MAX


def _completed(query: Query, last: Ended, now_us: int) -> Outcome:
    totals = last.totals
    return Outcome(
        Event.COMPLETE,
        {
            "end_us": now_us,
            "expire_us": now_us + query.plan.ttl_ms * 1000,
            # The rows of a small result can be read from its end on.
            "first_page_us": query.first_page_us or (now_us if totals.pages else None),
            "result_state": ResultState.READY,
            "rows": totals.rows,
            "pages": totals.pages,
            "bytes": totals.bytes,
            "rows_scanned": totals.rows_scanned,
            "bytes_scanned": totals.bytes_scanned,
            "truncation": totals.truncation,
        },
    )


def _ended(query: Query, event: Event, failure: Failure, now_us: int) -> Outcome:
    facts = {"result_state": ResultState.NONE, "first_page_us": query.first_page_us}
    return Outcome(event, {**facts, "end_us": now_us, "failure": failure})
