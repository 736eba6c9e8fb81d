"""A client for what is configured: transport, identity, headers and token."""

from collections.abc import Callable
from pathlib import Path

import grpc
import typer

from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.visible import visible
from queryengine.client import Client, QueryEngineClientError
from queryengine.client.channel import LOOPBACK

TOKEN_BYTES_MAX = 16_384
"""Of a token: with the other headers it must fit in what servers accept."""


def say_on_standard_error(text: str) -> None:
    typer.echo(text, err=True)


def connect(config: ClientConfig, *, say: Callable[[str], None] = say_on_standard_error) -> Client:
    """Opens nothing yet. `say` takes a line for people when a stream broke off and has to be tried again and again.

    Raises typer.BadParameter for values that cannot be used, such as a file that is not there.
    """

    def on_retry(error: QueryEngineClientError) -> None:
        # Without a reason nobody answered.
        say(f"{visible(error.message) if error.reason else f'no answer from {config.server}'}, trying again")

    try:
        return Client(
            config.server,
            tenant=config.tenant,
            user=config.user,
            credentials=_credentials(config),
            metadata=(*config.headers, *_token(config)),
            on_retry=on_retry,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _credentials(config: ClientConfig) -> grpc.ChannelCredentials | None:
    if not config.tls:
        return None
    certificates = None
    if config.ca is not None:
        certificates = _read(config.ca, config.origins["ca"])
        if b"-----BEGIN CERTIFICATE-----" not in certificates:
            raise ValueError(f"{config.origins['ca']}: {config.ca} holds no certificate in PEM form")
    return grpc.ssl_channel_credentials(root_certificates=certificates)


def _token(config: ClientConfig) -> tuple[tuple[str, str], ...]:
    """The token as the file has it when the command starts."""
    if config.token_file is None:
        return ()
    origin = config.origins["token_file"]
    if not config.tls and not config.server.startswith(LOOPBACK):
        raise ValueError(f"{origin}: {config.server} would get the token in plain text; add --tls")
    if any(name == "authorization" for name, _ in config.headers):
        raise ValueError(f"{origin}: header authorization is set, too; give one of them")
    token = _read(config.token_file, origin).decode("ascii", "replace").strip()
    if not token or not token.isprintable() or not token.isascii() or len(token) > TOKEN_BYTES_MAX:
        raise ValueError(f"{origin}: {config.token_file} must hold one line of printable ASCII, the token")
    return (("authorization", f"Bearer {token}"),)


def _read(path: Path, origin: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{origin}: cannot read {path}: {error.strerror}") from error
