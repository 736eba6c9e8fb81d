"""`queryengine engines refresh`: new files are seen now, by all workers, and bad ones are named."""

from typing import TYPE_CHECKING, Annotated

import typer

from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.options import Json

if TYPE_CHECKING:
    from queryengine.client import EngineRefresh


@connected
def refresh(
    config: ClientConfig,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The engine; by default the server's default.")] = "",
    *,
    as_json: Json = False,
) -> None:
    """Have all workers of an engine look at its folder now, and print what has changed since the last time.

    Queries see new files without it, within about a second.
    """
    import dataclasses

    from queryengine.cli import jsontext
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    with reported(config), connect(config) as client:
        found = client.refresh_engine(name)
    typer.echo(jsontext.text(dataclasses.asdict(found)) if as_json else "\n".join(_lines(found)))


def _lines(found: "EngineRefresh") -> list[str]:
    from queryengine.cli.statuses import count_text
    from queryengine.cli.visible import visible

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
