"""Commands that need no server: serve starts one, config check reads its settings."""

import signal
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from queryengine.cli.exits import ended
from queryengine.cli.hints import program
from queryengine.cli.installed import server_installed

# The parts of the server are imported inside the commands, so that the others start without them.


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="Settings, a YAML file.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="For trying: flights and TPC-H to query, removed when the server stops.")
    ] = False,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Start also where other hosts reach the server without authentication: whoever can connect then reads "
            "and stops the queries of every tenant.",
        ),
    ] = False,
) -> None:
    """Run a server until Ctrl-C or TERM.

    Environment variables such as QUERYENGINE_SERVER__LISTEN=127.0.0.1:9000 win over the file, also with --demo; without
    either the server listens on 127.0.0.1:8815 with one in-memory DuckDB. HUP reads the settings again.
    """
    # Until the server handles it: a SIGHUP that comes early must not end it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if demo:
        _serve_demo(config, insecure=insecure)
    with server_installed():
        from queryengine import settings
        from queryengine.app import process

    path = str(config) if config is not None else None
    try:
        loaded = settings.load(path)
    except settings.SettingsError as error:
        raise ended(str(error)) from error
    raise typer.Exit(process.serve(loaded, program=program(), source=settings.Source(config), insecure=insecure))


def _serve_demo(config: Path | None, *, insecure: bool) -> NoReturn:
    with server_installed("demo"):
        from queryengine.demo import serving
        from queryengine.demo.data import DataMissingError
        from queryengine.settings import SettingsError

    if config is not None:
        raise typer.BadParameter("--demo has settings of its own; leave --config out")
    try:
        raise typer.Exit(serving.serve(program(), lambda text: typer.echo(text, err=True), insecure=insecure))
    except (DataMissingError, SettingsError) as error:
        raise ended(str(error)) from error


def check(
    config: Annotated[Path, typer.Argument(metavar="FILE", help="Settings, a YAML file.")],
    insecure: Annotated[
        bool, typer.Option("--insecure", help="For a server that is started with --insecure, which refuses less.")
    ] = False,
) -> None:
    """Check a settings file for `serve`, without a start.

    Whatever `serve` would refuse is reported at once, each mistake with its line; warnings are what it would log.
    """
    with server_installed():
        from queryengine import settings
        from queryengine.app import checking
        from queryengine.domain.clock import SystemClock

    try:
        loaded = settings.load(str(config))
        warnings = checking.check(loaded, SystemClock(), insecure=insecure)
    except settings.SettingsError as error:
        raise ended(str(error)) from error
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"{config}: ok; engines: {', '.join(loaded.engines)}")
