"""`queryengine engines refresh`: new files are seen now, by all workers, and bad ones are named."""

import dataclasses
from typing import Annotated

import typer

from queryengine.cli import jsontext, options
from queryengine.cli.failures import reported
from queryengine.cli.options import DEFAULT_SERVER, DEFAULT_TENANT, Json, Server, Tenant, User
from queryengine.cli.progress import count_text
from queryengine.cli.visible import visible
from queryengine.client import EngineRefresh


def refresh(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The engine; by default the server's default.")] = "",
    *,
    as_json: Json = False,
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = DEFAULT_TENANT,
    user: User = "",
) -> None:
    """Have all workers of an engine look at its folder now, and print what has changed since the last time.

    Queries see new files without it, within about a second.
    """
    with reported(server), options.client(server, tenant, user) as client:
        found = client.refresh_engine(name)
    typer.echo(jsontext.text(dataclasses.asdict(found)) if as_json else "\n".join(_lines(found)))


def _lines(found: EngineRefresh) -> list[str]:
    looked = f"{visible(found.engine)}: {count_text(found.workers, 'worker')} looked"
    if found.workers_waiting:
        looked += f", {found.workers_waiting} will before the next query"
    lines = [f"{looked}; {count_text(found.views, 'view')} can be read"]
    for change in found.changes:
        reason = f": {visible(change.reason)}" if change.reason else ""
        lines.append(f"{change.kind.lower():<12}{visible(change.view)}{reason}")
    if found.changes_left_out:
        lines.append(f"({found.changes_left_out:,} more)")
    return lines
