"""`queryengine engines refresh`: all workers of an engine read its folder again; bad files are named."""

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
    """Have an engine read its folder again, and print the changes.

    Those are the views that were added, changed or removed since the last refresh, and all whose files cannot be read.
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

    looked = f"{visible(found.engine)}: read again by {count_text(found.workers, 'worker')}"
    if found.workers_waiting:
        looked += f", by {found.workers_waiting} more before their next query"
    lines = [f"{looked}; {count_text(found.views, 'view')} to query"]
    for change in found.changes:
        reason = f": {visible(change.reason)}" if change.reason else ""
        lines.append(f"{change.kind.lower():<12}{visible(change.view)}{reason}")
    if found.changes_left_out:
        lines.append(f"({found.changes_left_out:,} more)")
    return lines
