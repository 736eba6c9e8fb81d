"""The `queryengine` command: its subcommands, and what --help teaches."""

from typing import Annotated

import typer

from queryengine import __version__
from queryengine.cli import (
    config,
    engines,
    explain,
    fetch,
    keys,
    named,
    ps,
    queries,
    reloading,
    server,
    sql,
    usage,
)
from queryengine.cli.commands import Commands
from queryengine.cli.exits import EXIT_CODES

EXAMPLES = """
queryengine serve
queryengine sql "SELECT 42 AS answer"
queryengine sql 'SELECT * FROM t WHERE id = $id' -p id=5 --format csv
queryengine sql - -o out.parquet < report.sql
queryengine sql                                 a prompt; \\? lists its commands
queryengine sql "SELECT …" --detach             print the query's id and leave it running
queryengine ps
queryengine watch 1f3a                          the beginning of an id is enough
queryengine fetch 1f3a --offset 1000 --size 50
queryengine cancel 1f3a --wait
queryengine engines refresh lake
queryengine named create daily daily.sql --param day:date
queryengine named run daily@prod -p day=2026-11-28
queryengine keys create etl > etl.key           an API key, and its secret for this once
queryengine config reload                       have the server load its settings again, as an admin
queryengine config client                       which server the commands call, and why
queryengine ps -s sql.example.org:8815 --ca our-ca.pem --token-file token
queryengine ps -s sql.example.org:8815 --ca our-ca.pem --cert me.crt --key me.key
"""


def _epilog() -> str:
    # \b keeps the lines of a paragraph apart.
    codes = "\n".join(f"{code.value:>3}  {text}" for code, text in EXIT_CODES.items())
    return f"\b\nExamples:\n{EXAMPLES.strip()}\n\n\b\nExit codes:\n{codes}"


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=_epilog(),
    context_settings={"help_option_names": ["-h", "--help"]},
)
settings = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


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
app.command()(explain.explain)
app.command()(ps.ps)
app.command()(queries.status)
app.command()(queries.watch)
app.command()(queries.cancel)
app.command()(fetch.fetch)
app.command()(queries.release)
app.command()(usage.usage)
app.add_typer(engines.app, name="engines")
app.add_typer(keys.app, name="keys")
app.add_typer(named.app, name="named")
settings.command("check")(server.check)
settings.command("client")(config.client)
settings.command("status")(reloading.status)
settings.command("reload")(reloading.reload)
app.add_typer(settings, name="config")


@settings.callback()
def _config() -> None:
    """Check the settings of a server, show or reload those of one that runs, or show those of the commands."""
