"""The `queryengine` command: its subcommands, and what --help teaches."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from queryengine import __version__
from queryengine.cli import queries, refresh, server, sql
from queryengine.cli.failures import ExitCode

EXAMPLES = """
queryengine serve
queryengine sql "SELECT 42 AS answer"
queryengine sql 'SELECT * FROM t WHERE id = $id' -p id=5 --format csv
queryengine sql - -o out.parquet < report.sql
queryengine sql "SELECT …" --no-wait
queryengine ps
queryengine watch ID
queryengine fetch ID --offset 1000
queryengine cancel ID --wait
queryengine engines refresh lake
"""

EXIT_CODES = {
    ExitCode.OK: "all went well",
    ExitCode.FAILED: "the query failed",
    ExitCode.USAGE: "the command or the SQL is wrong",
    ExitCode.NOT_FOUND: "no such query, or its rows are gone",
    ExitCode.UNREACHABLE: "no queryengine server answers",
    ExitCode.LIMIT: "a limit or a quota was reached",
    ExitCode.CANCELLED: "cancelled or interrupted",
}


def _epilog() -> str:
    # \b keeps the lines of a paragraph apart.
    codes = "\n".join(f"{code.value:>3}  {text}" for code, text in EXIT_CODES.items())
    return f"\b\nExamples:\n{EXAMPLES.strip()}\n\n\b\nExit codes:\n{codes}"


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=_epilog(),
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Listing(TyperGroup):
    """A group that lists when no command of it is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_option = bool(args) and args[0].startswith("-") and args[0] not in ctx.help_option_names
        return super().parse_args(ctx, ["list", *args] if not args or is_option else args)


engines = typer.Typer(
    cls=_Listing, rich_markup_mode=None, help="List the configured engines, or have one look at its files."
)
config = typer.Typer(no_args_is_help=True, help="Look at settings.", rich_markup_mode=None)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"queryengine {__version__}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run SQL on the engines of a queryengine server, and look after it."""


app.command()(server.serve)
app.command()(sql.sql)
app.command()(queries.ps)
app.command()(queries.status)
app.command()(queries.watch)
app.command()(queries.cancel)
app.command()(queries.fetch)
app.command()(queries.release)
engines.command("list")(queries.engines)
engines.command("refresh")(refresh.refresh)
app.add_typer(engines, name="engines")
config.command("check")(server.check)
app.add_typer(config, name="config")


@config.callback()
def _config() -> None:
    """Look at settings."""
