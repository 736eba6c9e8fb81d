"""`queryengine ps --watch`: the tenant's queries, a line for each and for each change."""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import typer

from queryengine.cli import statuses
from queryengine.cli.visible import visible
from queryengine.client import Client, QueryStatus
from queryengine.domain.lifecycle import QueryState

ID_CHARACTERS = 8
PREVIEW_CHARACTERS = 60
LISTED = 1_000


def follow(
    client: Client,
    *,
    listed: Iterable[QueryState],
    watched: Iterable[QueryState],
    narrowed: Mapping[str, Any],
    as_json: bool,
) -> NoReturn:
    """Print the queries in the states listed, the oldest first, then every change into one of the states watched, until
    it is interrupted. Where changes may have been missed, the queries are listed again.
    """
    is_first = True
    for change in client.watch_queries(states=watched, **narrowed):
        if change.status is not None:
            _print(change.status, as_json=as_json)
            continue
        if not is_first:
            typer.echo("(changes may have been missed; the queries as they are now:)", err=True)
        is_first = False
        found = client.list_queries(states=listed, page_size=LISTED, **narrowed)
        for status in reversed(found.queries):
            _print(status, as_json=as_json)
        if found.next_page_token:
            typer.echo(f"(only the newest {len(found.queries):,} are listed)", err=True)
    raise AssertionError("a watch has no end")


def _print(status: QueryStatus, *, as_json: bool) -> None:
    typer.echo(statuses.as_json(status) if as_json else _line(status))


def _line(status: QueryStatus) -> str:
    failure = f", {status.error.reason}" if status.error is not None else ""
    sql = visible(status.sql_preview[:PREVIEW_CHARACTERS])
    return f"{status.query_id[:ID_CHARACTERS]}  {status.engine}  {statuses.line(status)}{failure}  {sql}"
