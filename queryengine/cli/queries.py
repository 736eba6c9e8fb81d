"""Commands about one query: status, watch, cancel, release."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from queryengine.cli import options
from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.exits import ended
from queryengine.cli.options import Json, QueryId, pairs

if TYPE_CHECKING:
    from queryengine.client import QueryStatus

CANCEL_WAIT_SECONDS = 10.0

# What calls a server is imported inside the commands, so that --help and --version do without it.


@connected
def status(
    config: ClientConfig,
    query_id: QueryId,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Also the whole SQL, names and types of its parameters, and its limits.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show all that the server knows about a query.

    The exit code is 0 for a failed query, too; `watch` has that of the query.
    """
    from queryengine.cli import details, ids, statuses
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    with reported(config), connect(config) as client:
        handle = client.attach(ids.whole(client, query_id))
        found = handle.status()
        submitted = handle.details() if full else None
    if as_json:
        typer.echo(statuses.as_json(found, submitted))
        return
    typer.echo(statuses.lines(found))
    if submitted is not None:
        typer.echo(details.lines(submitted))


@connected
def watch(config: ClientConfig, query_id: QueryId, *, as_json: Json = False) -> None:
    """Print every change of a query until it ends.

    The exit code says how it ended. Ctrl-C stops only the watching.
    """
    from queryengine.cli import ids, statuses
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    with reported(config), connect(config) as client:
        last: QueryStatus | None = None
        for last in client.attach(ids.whole(client, query_id)).watch():
            typer.echo(statuses.as_json(last) if as_json else statuses.line(last))
        failure = last.failure() if last is not None else None
        if failure is not None:
            raise failure


@connected
def cancel(
    config: ClientConfig,
    query_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a query, or enough of its beginning; without --label.")
    ] = "",
    *,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Stop all queries with this label; repeatable: with all of them."),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", "-e", metavar="NAME", help="With --label, only on this engine.")
    ] = "",
    by: Annotated[str, typer.Option(metavar="NAME", help="With --label, only those that this user submitted.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --label, do not ask on a terminal.")] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for people.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the engine is known to have stopped.")] = False,
) -> None:
    """Stop a query, or all that carry some labels, also on the engine. Cancelling an ended query does nothing."""
    from queryengine.cli import ids
    from queryengine.cli.cancelling import cancel_labelled
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    if bool(query_id) == bool(label):
        raise ended("give the id of a query, or --label for all queries that carry it")
    if query_id and (engine or by):
        raise ended("--engine and --by go with --label")
    seconds = CANCEL_WAIT_SECONDS if wait else 0.0
    with reported(config), connect(config) as client:
        if label:
            labels = pairs("--label", label)
            said = cancel_labelled(client, labels, engine=engine, subject=by, reason=reason, wait=seconds, ask=not yes)
        else:
            outcome = client.attach(ids.whole(client, query_id)).cancel(reason=reason, wait=seconds)
            said = f"{outcome.result}, engine {outcome.engine}; the query is {outcome.status.state}"
    typer.echo(said)


@connected
def release(
    config: ClientConfig,
    query_id: QueryId,
    *,
    extend: Annotated[
        str, typer.Option(metavar="DURATION", help="Keep the rows for so long from now instead, such as 2h or 3d.")
    ] = "",
) -> None:
    """Free the stored rows of an ended query, or keep them longer."""
    from queryengine.cli import ids, statuses
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported
    from queryengine.domain.clock import SystemClock

    length = options.seconds("--extend", extend) if extend else 0.0
    with reported(config), connect(config) as client:
        handle = client.attach(ids.whole(client, query_id))
        if extend:
            now = dt.datetime.fromtimestamp(SystemClock().now_us() / 1e6, dt.UTC)
            found = handle.extend(now + dt.timedelta(seconds=length))
        else:
            found = handle.release()
    until = f" until {statuses.moment(found.expire_time)}" if extend and found.expire_time else ""
    typer.echo(f"result {found.result_state}{until}")
