"""What a command says where only the client is installed, and it needs the server."""

from collections.abc import Iterator
from contextlib import contextmanager

from queryengine.cli.exits import ended


@contextmanager
def server_installed(extra: str = "server") -> Iterator[None]:
    """For imports of the server's parts: ends the command where one of the packages that they need is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in {"", "queryengine"}:
            raise
        install = f'pip install "queryengine[{extra}]"'
        raise ended(f"only the client is installed here ({package} is missing); for a server: {install}") from error
