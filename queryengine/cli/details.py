"""What was submitted, as people and as programs read it."""

import dataclasses
import datetime as dt
from typing import Any

from queryengine.cli.visible import visible
from queryengine.client import QueryDetails


def values(submitted: QueryDetails) -> dict[str, Any]:
    """Of the one JSON object of a query; times in seconds, and what is not set is left out."""
    found = dataclasses.asdict(submitted)
    return {name: _plain(value) for name, value in found.items() if value is not None}


def lines(submitted: QueryDetails) -> str:
    """A line for each limit and parameter, and the SQL as it is."""
    known = [
        f"{'may wait':<16}{_plain(submitted.queue_timeout):g} s",
        f"{'may run':<16}{_plain(submitted.execution_timeout):g} s",
    ]
    if submitted.named_query:
        known.insert(0, f"{'named query':<16}{visible(submitted.named_query)}")
    then = "then it fails" if submitted.fails_at_limit else "the rows until then are kept"
    for name, limit in (("rows at most", submitted.row_limit), ("bytes at most", submitted.byte_limit)):
        if limit is not None:
            known.append(f"{name:<16}{limit:,}, {then}")
    if submitted.routing is not None:
        known += [
            f"{'passed over':<16}{visible(f'{each.engine}: {each.why}')}" for each in submitted.routing.passed_over
        ]
    for number, parameter in enumerate(submitted.parameters, 1):
        known.append(f"{'parameter':<16}{visible(parameter.name or str(number))} {visible(parameter.type)}".rstrip())
    if submitted.parameters_left_out:
        known.append(f"{'parameter':<16}and {submitted.parameters_left_out:,} more")
    known += ["", visible(submitted.sql)]
    if submitted.executed_sql not in (submitted.sql, ""):
        known += ["", "-- runs as:", visible(submitted.executed_sql)]
    return "\n".join(known)


def _plain(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, dt.timedelta) else value
