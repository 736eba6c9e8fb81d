"""`queryengine ps`: the tenant's queries, newest first."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.exits import ended
from queryengine.cli.options import Json, pairs, past
from queryengine.domain.lifecycle import QueryState

if TYPE_CHECKING:
    from queryengine.client import QueryList


@connected
def ps(
    config: ClientConfig,
    *,
    all_states: Annotated[bool, typer.Option("--all", "-a", help="Ended queries too.")] = False,
    state: Annotated[
        list[QueryState] | None, typer.Option(help="Only this state; repeatable.", case_sensitive=False)
    ] = None,
    engine: Annotated[str, typer.Option("--engine", "-e", metavar="NAME", help="Only this engine.")] = "",
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only queries with this label; repeatable.")
    ] = None,
    by: Annotated[str, typer.Option(metavar="NAME", help="Only queries that this user submitted.")] = "",
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Submitted at this time or later, such as 2026-11-28T13:30, or 2h for 2 hours ago."
        ),
    ] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="Submitted before this time, written as above.")] = "",
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Go on with a line for each change, until Ctrl-C."),
    ] = False,
    size: Annotated[int, typer.Option(min=1, max=1000, metavar="NUMBER", help="Queries to list.")] = 50,
    as_json: Json = False,
) -> None:
    """List the tenant's waiting and running queries, newest first.

    On a terminal the ids are cut to what distinguishes them, which every command takes. "waited" is the time in the
    queue, "ran" the time on the engine; "place" counts from the next one to start.
    """
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported
    from queryengine.cli.following import follow
    from queryengine.domain.clock import SystemClock

    now = dt.datetime.fromtimestamp(SystemClock().now_us() / 1e6, dt.UTC)
    if watch and (since or until):
        raise ended("--watch shows what changes from now on; leave out --since and --until")
    states = state or ([] if all_states else [QueryState.QUEUED, QueryState.RUNNING])
    narrowed: dict[str, Any] = {"engine": engine, "labels": pairs("--label", label or ()), "subject": by}
    with reported(config), connect(config) as client:
        if watch:
            follow(client, listed=states, watched=state or (), narrowed=narrowed, as_json=as_json)
        listed = client.list_queries(
            states=states,
            submitted_after=past("--since", since, now) if since else None,
            submitted_before=past("--until", until, now) if until else None,
            page_size=size,
            **narrowed,
        )
    _show(config, listed, states, as_json=as_json)


def _show(config: ClientConfig, listed: "QueryList", states: list[QueryState], *, as_json: bool) -> None:
    """The queries found in these states, of which none means all."""
    from queryengine.cli import statuses
    from queryengine.cli.consoles import terminal_width
    from queryengine.cli.hints import command
    from queryengine.cli.querytable import query_table

    if as_json:
        for each in listed.queries:
            typer.echo(statuses.as_json(each))
        return
    if not listed.queries:
        if states:
            hint = f"no queries are {' or '.join(states)}; to list all: {command(config, 'ps', '--all')}"
        else:
            hint = f"no queries; to run one: {command(config, 'sql', 'SELECT 42 AS answer')}"
        typer.echo(hint, err=True)
        return
    lines, left_out = query_table(listed.queries, terminal_width())
    for line in lines:
        typer.echo(line)
    if left_out:
        typer.echo(f"(no room for {', '.join(left_out)}; --json has everything)", err=True)
    if listed.next_page_token:
        typer.echo("(there are more; --size shows up to 1000)", err=True)
