"""A client for what is configured: transport, identity, headers and credentials."""

from collections.abc import Callable

import typer

from queryengine.cli.clientconfig import CREDENTIALS, DEFAULT, ClientConfig
from queryengine.cli.exits import ended
from queryengine.cli.visible import visible
from queryengine.client import Client, QueryEngineClientError
from queryengine.client.targets import stays_here


def say_on_standard_error(text: str) -> None:
    typer.echo(text, err=True)


def connect(config: ClientConfig, *, say: Callable[[str], None] = say_on_standard_error) -> Client:
    """Opens nothing yet. `say` takes a line for people when a stream broke off and has to be tried again and again.

    Ends the command for values that cannot be used, such as a file that is not there.
    """

    def on_retry(error: QueryEngineClientError) -> None:
        # Without a reason nobody answered.
        say(f"{visible(error.message) if error.reason else f'no answer from {config.server}'}, trying again")

    try:
        _check(config)
        return Client(
            config.server,
            tenant=config.tenant_given,
            user=config.user,
            tls=config.tls,
            ca_file=config.ca,
            cert_file=config.cert,
            key_file=config.key,
            token_file=config.token_file,
            api_key_file=config.api_key_file,
            api_key=config.api_key,
            allow_insecure_credentials=config.allow_insecure_credentials,
            metadata=config.headers,
            on_retry=on_retry,
        )
    except ValueError as error:
        raise ended(_as_written(str(error), config)) from error


def _check(config: ClientConfig) -> None:
    """What the client would refuse, too, in the words of the command line. Raises ValueError."""
    given = [key for key in CREDENTIALS if getattr(config, key) is not None]
    in_headers = any(name == "authorization" for name, _ in config.headers)
    if given and in_headers:
        raise ValueError(f"{config.origins[given[0]]}: header authorization is set, too; give one of them")
    if (config.cert is None) != (config.key is None):
        raise ValueError("--cert and --key belong together: a certificate and its private key")
    keeps_secrets = config.tls or stays_here(config.server) or config.allow_insecure_credentials
    if (given or in_headers) and not keeps_secrets:
        origin = config.origins[given[0] if given else "headers"]
        what = "key" if given and given[0] != "token_file" else "token"
        raise ValueError(
            f"{origin}: {config.server} would get the {what} in plain text; add --tls, or accept that with "
            "--allow-insecure-credentials"
        )


def _as_written(message: str, config: ClientConfig) -> str:
    """A message of the client with the option, variable or file in place of its argument."""
    argument, colon, rest = message.partition(":")
    key = argument.removesuffix("_file") if argument in ("ca_file", "cert_file", "key_file") else argument
    return f"{config.origins[key]}{colon}{rest}" if colon and config.origins.get(key, DEFAULT) != DEFAULT else message
