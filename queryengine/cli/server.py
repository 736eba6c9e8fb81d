"""Commands that need no server: serve starts one, config check reads its settings."""

from pathlib import Path
from typing import Annotated

import typer

from queryengine.cli.failures import usage_error

# The parts of the server are imported inside the commands, so that the others start without them.


def serve(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Settings, a YAML file.")] = None,
) -> None:
    """Run a server until it is told to stop. Environment variables such as QUERYENGINE_SERVER__LISTEN win
    over the file; without either it listens on loopback with one in-memory DuckDB.
    """
    from queryengine import app, settings

    try:
        loaded = settings.load(str(config) if config is not None else None)
    except settings.SettingsError as error:
        raise usage_error(str(error)) from error
    raise typer.Exit(app.serve(loaded))


def check(config: Annotated[Path, typer.Argument(metavar="FILE", help="Settings, a YAML file.")]) -> None:
    """Read a settings file as `serve` would, and say what is wrong with it."""
    from queryengine import settings

    try:
        loaded = settings.load(str(config))
    except settings.SettingsError as error:
        raise usage_error(str(error)) from error
    typer.echo(f"{config}: ok; engines: {', '.join(loaded.engines)}")
