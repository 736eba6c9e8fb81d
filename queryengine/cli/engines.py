"""`queryengine engines`: what is configured on the server and what it can do; and the group of its other commands."""

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from queryengine.cli import refresh
from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.options import Json

if TYPE_CHECKING:
    from queryengine.client import EngineInfo

TRAITS_SHOWN = ("streams", "back_pressure", "progress", "scan_statistics", "cancel_confirmed", "sandbox", "writes")


class _Listing(TyperGroup):
    """A group that lists when no command of it is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_option = bool(args) and args[0].startswith("-") and args[0] not in ctx.help_option_names
        return super().parse_args(ctx, ["list", *args] if not args or is_option else args)


@connected
def listing(config: ClientConfig, *, as_json: Json = False) -> None:
    """List the configured engines and what they can do."""
    import dataclasses

    from queryengine.cli import jsontext
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    with reported(config), connect(config) as client:
        found = client.engines()
    if as_json:
        for engine in found:
            typer.echo(jsontext.text(dataclasses.asdict(engine)))
        return
    for line in _table(found):
        typer.echo(line)


def _table(found: "tuple[EngineInfo, ...]") -> list[str]:
    from rich.table import Table
    from rich.text import Text

    from queryengine.cli.consoles import table_lines, terminal_width
    from queryengine.cli.visible import visible

    table = Table(show_edge=False)
    for name in ("name", "type", "running", "queued", "state", "parameters", "does", "detail"):
        table.add_column(name, justify="right" if name in ("running", "queued") else "left")
    for engine in found:
        parameters = (("named", engine.named_parameters), ("positional", engine.positional_parameters))
        takes = [word for word, is_taken in parameters if is_taken]
        does = [word.replace("_", " ") for word in TRAITS_SHOWN if getattr(engine, word)]
        table.add_row(
            Text(engine.name + (" (default)" if engine.is_default else "")),
            engine.type,
            f"{engine.running} of {engine.slots}",
            str(engine.queued),
            "up" if engine.available else "down",
            ", ".join(takes) or "none",
            ", ".join(does) or "nothing more",
            Text("\n".join(map(visible, (engine.detail, *_confined(engine))))),
        )
    return table_lines(table, terminal_width())


def _confined(engine: "EngineInfo") -> list[str]:
    return [f"confined by {', '.join(engine.confinement)}"] if engine.confinement else []


app = typer.Typer(
    cls=_Listing, rich_markup_mode=None, help="List the configured engines, or have one look at its files."
)
app.command("list")(listing)
app.command("refresh")(refresh.refresh)
