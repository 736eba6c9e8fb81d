"""The options of every command that calls a server, declared once."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from queryengine.cli.clientconfig import DEFAULT_SERVER, VARIABLES, ClientConfig, ConfigError, resolve
from queryengine.cli.exits import ended
from queryengine.cli.quickstart import import_arrow

P = ParamSpec("P")


def _options(
    *,
    server: Annotated[
        str | None,
        typer.Option(
            "--server",
            "-s",
            metavar="HOST:PORT",
            help=f"The server to call; also ${VARIABLES['server']}. Default: {DEFAULT_SERVER}.",
        ),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Tenant to act as; also ${VARIABLES['tenant']}.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"User to act as; also ${VARIABLES['user']}.")
    ] = None,
    tls: Annotated[
        bool | None, typer.Option("--tls/--no-tls", help=f"Encrypt, and check the server; also ${VARIABLES['tls']}.")
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Certificates to trust, PEM, instead of the usual ones; means --tls; also ${VARIABLES['ca']}.",
        ),
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Certificate to show to the server, PEM, with its --key; means --tls; also ${VARIABLES['cert']}.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Private key of --cert, PEM; also ${VARIABLES['key']}."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: VALUE'",
            help=f"Send this with every call; repeatable; also ${VARIABLES['headers']}, one on a line.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Send what the file holds as a bearer token, read again when it changes; also "
            f"${VARIABLES['token_file']}.",
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Send what the file holds as an API key; also ${VARIABLES['api_key_file']}, or the key itself in "
            f"${VARIABLES['api_key']}.",
        ),
    ] = None,
    allow_insecure_credentials: Annotated[
        bool | None,
        typer.Option(
            "--allow-insecure-credentials",
            help="Send a token or a key to another machine in plain text, where something on the way encrypts.",
        ),
    ] = None,
) -> None:
    """Only the signature counts."""


def connected(command: Callable[Concatenate[ClientConfig, P], None]) -> Callable[..., None]:
    """A command for Typer that takes these options after its own and is called with what they, the environment and
    the file say. A value that cannot be used is a mistake in the command.
    """
    shared = inspect.signature(_options).parameters

    @functools.wraps(command)
    def run(**given: Any) -> None:
        flags = {name: given.pop(name) for name in shared}
        flags["headers"] = flags.pop("header")
        try:
            config = resolve(flags)
        except ConfigError as error:
            raise ended(str(error)) from error
        import_arrow()
        command(config, **given)  # type: ignore[call-arg]

    own = list(inspect.signature(command).parameters.values())[1:]
    run.__signature__ = inspect.Signature([*own, *shared.values()])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in (*own, *shared.values())}
    return run
