"""The state of a query as people and as programs read it."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

from queryengine.cli import details, jsontext
from queryengine.cli.visible import visible
from queryengine.cli.wording import in_commands, message_in_commands
from queryengine.client import QueryDetails, QueryStatus
from queryengine.domain.lifecycle import QueryState


def line(status: QueryStatus) -> str:
    """One line: state, place in the queue and why it waits, or part done, rows and bytes so far."""
    parts: list[str] = [status.state]
    if status.state is QueryState.QUEUED:
        if status.queue_position is not None:
            parts.append(f"{status.queue_position} before it")
            if status.queue_depth is not None:
                parts.append(f"{status.queue_depth} waiting for {status.engine}")
        if status.waiting_reason:
            parts[-1] += f": {visible(in_commands(status.waiting_reason))}"
    if status.fraction is not None:
        parts.append(f"{status.fraction:.0%}")
    if status.rows:
        parts.append(count_text(status.rows, "row"))
        parts.append(byte_text(status.bytes))
    if status.execution_seconds:
        parts.append(f"{status.execution_seconds:.1f} s")
    return ", ".join(parts)


def as_json(found: QueryStatus, submitted: QueryDetails | None = None) -> str:
    """One object; what is not known is left out."""
    values = dataclasses.asdict(found)
    if submitted is not None:
        values["details"] = details.values(submitted)
    return jsontext.text({name: _jsonable(value) for name, value in values.items() if value is not None})


def lines(found: QueryStatus) -> str:
    """A line for each thing that is known."""
    known = []
    for name, get in _LINES:
        value = _jsonable(get(found))
        if value is not None:
            known.append(f"{name:<16}{visible(str(value))}")
    return "\n".join(known)


def moment(value: dt.datetime) -> str:
    return value.isoformat(timespec="milliseconds")


def count_text(count: int, noun: str) -> str:
    """So many of something, for people."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def byte_text(count: float) -> str:
    """A size for people, in powers of 1024."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _jsonable(value: Any) -> Any:
    return moment(value) if isinstance(value, dt.datetime) else value


def _stored(found: QueryStatus) -> str:
    return f"{count_text(found.rows, 'row')} in {count_text(found.pages, 'page')}, {byte_text(found.bytes)}"


def _error(found: QueryStatus) -> str | None:
    failure = found.failure()
    if failure is None:
        return None
    return f"{failure.reason}: {message_in_commands(failure.reason, failure.message, failure.metadata)}"


_LINES: tuple[tuple[str, Callable[[QueryStatus], Any]], ...] = (
    ("query", lambda found: found.query_id),
    ("user", lambda found: found.subject or None),
    ("state", line),
    ("result", lambda found: found.result_state),
    ("engine", lambda found: f"{found.engine} ({found.engine_type}, {found.routing_reason})"),
    ("policies", lambda found: ", ".join(found.row_policies) or None),
    ("attempt", lambda found: found.attempt or None),
    ("priority", lambda found: found.priority or None),
    ("error", _error),
    ("queued for", lambda found: f"{found.queue_seconds:.3f} s"),
    ("ran for", lambda found: f"{found.execution_seconds:.3f} s" if found.start_time else None),
    ("stored", _stored),
    ("scanned rows", lambda found: found.rows_scanned),
    ("scanned bytes", lambda found: found.bytes_scanned),
    ("submitted", lambda found: found.submit_time),
    ("may start", lambda found: found.estimated_start_time),
    ("started", lambda found: found.start_time),
    ("first rows", lambda found: found.first_page_time),
    ("may end", lambda found: found.estimated_completion_time),
    ("ended", lambda found: found.end_time),
    ("cancel asked", lambda found: found.cancel_request_time),
    ("rows kept until", lambda found: found.expire_time),
    ("labels", lambda found: ", ".join(f"{key}={value}" for key, value in found.labels.items()) or None),
    ("sql", lambda found: found.sql_preview),
)
