"""What each call shows to say who makes it: a token or an API key, fixed, from a file, or from a function.

It is fetched for every call, so a new one is used at once and without a new connection. No error shows it.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import grpc

KEY: Final = "authorization"
CHARACTERS_MAX: Final = 16_384
"""Of a token: with the other headers it must fit in what servers accept."""

Token: TypeAlias = str | Callable[[], str] | Callable[[], Awaitable[str]]


class AuthorizationUnavailable(grpc.RpcError):
    """There is nothing to show now. It counts as a call that went nowhere: what is tried again fetches it again."""


class Authorization(Protocol):
    """Where the value comes from."""

    @property
    def may_change(self) -> bool:
        """Whether it is worth a second call when a server refuses it."""
        ...

    def current(self) -> Any:
        """The value of the header now, or what `awaited` makes one of. Raises AuthorizationUnavailable."""
        ...


class Fixed:
    """A token or a key that stays as it is."""

    may_change = False

    def __init__(self, scheme: str, secret: str, name: str) -> None:
        """Raises ValueError that says by `name` what cannot be sent."""
        secret = _without_line_end(secret)
        problem = _problem(secret)
        if problem:
            raise ValueError(f"{name} {problem}")
        self._value = f"{scheme} {secret}"

    def current(self) -> str:
        return self._value


class FromFile:
    """What a file holds, read again whenever it is another or has changed. A file that goes, or is empty while somebody
    writes it, changes nothing.
    """

    may_change = True

    def __init__(self, scheme: str, path: Path, name: str) -> None:
        """Reads it. Raises ValueError that says by `name` why it cannot be used."""
        self._scheme = scheme
        self._path = path
        self._seen: tuple[int, ...] = ()
        try:
            self._seen = _identity(path)
            secret = _secret_in(path)
        except OSError as cause:
            raise ValueError(f"{name}: cannot read {path}: {cause.strerror}") from cause
        problem = _problem(secret)
        if problem:
            raise ValueError(f"{name}: {path} must hold one line of printable ASCII, the secret: it {problem}")
        self._value = f"{scheme} {secret}"

    def current(self) -> str:
        try:
            seen = _identity(self._path)
            if seen != self._seen:
                secret = _secret_in(self._path)
                if not _problem(secret):
                    self._seen, self._value = seen, f"{self._scheme} {secret}"
        except OSError:
            pass
        return self._value


class FromFunction:
    """What a function returns, called before every call. It may be a coroutine function for the client of asyncio."""

    may_change = True

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function

    def current(self) -> Any:
        with _failing():
            found = self._function()
        return found if inspect.isawaitable(found) else _bearer(found)


async def awaited(found: Awaitable[Any]) -> str:
    """The value that `current` has promised. Raises AuthorizationUnavailable."""
    with _failing():
        token = await found
    return _bearer(token)


def authorization(
    *,
    token: Token | None,
    token_file: str | Path | None,
    api_key: str | None,
    api_key_file: str | Path | None,
) -> Authorization | None:
    """From what a client was given; None without any. Raises ValueError for more than one, and for a value or a file
    that cannot be used; TypeError for what is no text, path or function.
    """
    given = {"token": token, "token_file": token_file, "api_key": api_key, "api_key_file": api_key_file}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise ValueError(f"give one of {', '.join(named)}, not {len(named)}")
    if callable(token):
        return FromFunction(token)
    for name, scheme, secret in (("token", "Bearer", token), ("api_key", "ApiKey", api_key)):
        if secret is not None:
            if not isinstance(secret, str):
                # Not the value itself, which may be the secret in another type.
                expected = "a text or a function that returns one" if name == "token" else "a text"
                raise TypeError(f"{name} takes {expected}, not {type(secret).__name__}")
            return Fixed(scheme, secret, name)
    for name, scheme, path in (("token_file", "Bearer", token_file), ("api_key_file", "ApiKey", api_key_file)):
        if path is not None:
            return FromFile(scheme, Path(path).expanduser(), name)
    return None


def _bearer(token: Any) -> str:
    if not isinstance(token, str):
        raise AuthorizationUnavailable(f"the token function returned {type(token).__name__}, not a text")
    token = _without_line_end(token)
    problem = _problem(token)
    if problem:
        raise AuthorizationUnavailable(f"what the token function returned {problem}")
    return f"Bearer {token}"


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except Exception as cause:
        # Not its text, which may quote what it sent to get a token.
        raise AuthorizationUnavailable(f"the token function raised {type(cause).__name__}") from cause


def _identity(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _secret_in(path: Path) -> str:
    return _without_line_end(path.read_bytes().decode("ascii", "replace"))


def _without_line_end(secret: str) -> str:
    """As editors and `echo` leave one at the end of a file, which a script may pass on. Nothing else is forgiven."""
    return secret.rstrip("\r\n")


def _problem(secret: str) -> str:
    """Why a text cannot be sent; empty when it can."""
    if not secret:
        return "is empty"
    if len(secret) > CHARACTERS_MAX:
        return f"has more than {CHARACTERS_MAX:,} characters"
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        return "holds a space, a line break or other characters than printable ASCII"
    return ""
