"""Secrets in settings: a reference to a file or to an environment variable, which is read when the settings are.

The value is never part of what a setting shows (repr, str, JSON, model_dump): that shows the reference.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

SECRET_BYTES_MAX: Final = 64 << 10
SECRET_ERROR: Final = "secret_value"  # noqa: S105 - It is none.
"""The type of a validation error whose input may be a secret and is not to be repeated."""
HINT: Final = "expected file:/path of a file that holds the secret, or env:NAME of an environment variable"

_FILE: Final = "file:"
_VARIABLE: Final = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")


class Secret:
    """A field of settings whose value is given as `file:/path` or `env:NAME`. A plain value is refused.

    The value is UTF-8 of at most 65,536 bytes, not empty, without the line break at its end. A file is read when the
    field is validated, so that settings which are loaded again have what the file says then.
    """

    __slots__ = ("_value", "reference")

    def __init__(self, reference: str) -> None:
        """Reads the value. Raises ValueError that says why there is none, without anything of it."""
        self._value = _read(reference)
        self.reference = reference

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.reference})"

    def __str__(self) -> str:
        return self.reference

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self.reference, self._value) == (other.reference, other._value)

    def __hash__(self) -> int:
        return hash((self.reference, self._value))

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled")

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validated, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def _validated(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str) or not is_reference(value):
            raise secret_error(HINT)
        try:
            return cls(value)
        except ValueError as cause:
            raise secret_error(str(cause)) from cause


class Resolved(str):
    """What a reference stands for, where a plain text may stand, too. It is that text; only its repr is not."""

    __slots__ = ("reference",)
    reference: str

    def __new__(cls, reference: str) -> Self:
        """Raises ValueError, as Secret does."""
        made = super().__new__(cls, _read(reference))
        made.reference = reference
        return made

    def __repr__(self) -> str:
        return f"<{self.reference}>"


def secret_error(problem: str, *, inside: Sequence[str] = ()) -> PydanticCustomError:
    """What a validator raises for a value that may be a secret; `inside` leads from the field to its key."""
    # Braces would be taken for places of the template.
    return PydanticCustomError(SECRET_ERROR, "{problem}", {"problem": problem, "inside": list(inside)})


def is_reference(value: str) -> bool:
    return value.startswith(f"{_FILE}/") or _VARIABLE.fullmatch(value) is not None


def resolved(value: str) -> str:
    """The value that a reference stands for; any other text as it is, for keys that take both. Raises ValueError."""
    return Resolved(value) if is_reference(value) else value


def references_of(settings: BaseModel) -> Iterator[str]:
    """The reference of every secret in a group of settings, however deep."""
    return (reference for _, reference in _within(settings, ()))


def secret_files(settings: BaseModel) -> Iterator[Path]:
    return (path for _, path in keys_of_secret_files(settings))


def keys_of_secret_files(settings: BaseModel) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Each file with the way to the key that names it."""
    for key, reference in _within(settings, ()):
        if reference.startswith(_FILE):
            yield key, Path(reference.removeprefix(_FILE))


def secret_variables(settings: BaseModel) -> frozenset[str]:
    """Names of variables of the environment that hold secrets."""
    found = (_VARIABLE.fullmatch(reference) for reference in references_of(settings))
    return frozenset(match[1] for match in found if match is not None)


def _within(value: object, key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, Secret | Resolved):
        yield key, value.reference
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _within(getattr(value, name), (*key, name))
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _within(each, (*key, str(name)))
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _within(each, (*key, str(number)))


def _read(reference: str) -> str:
    variable = _VARIABLE.fullmatch(reference)
    if variable is not None:
        raw = _of_variable(variable[1])
    elif reference.startswith(f"{_FILE}/"):
        raw = _of_file(reference.removeprefix(_FILE))
    else:
        raise ValueError(HINT)
    if len(raw) > SECRET_BYTES_MAX:
        raise ValueError(f"{reference} has more than {SECRET_BYTES_MAX:,} bytes")
    try:
        # One line break: editors and `echo` leave one, and a secret may begin or end with a space.
        text = raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        # Without its cause, which holds the bytes.
        raise ValueError(f"{reference} is not UTF-8") from None
    if not text:
        raise ValueError(f"{reference} is empty")
    return text


def _of_variable(name: str) -> bytes:
    value = os.environb.get(name.encode())
    if value is None:
        raise ValueError(f"env:{name}: the environment has no variable {name}")
    return value


def _of_file(path: str) -> bytes:
    try:
        # Without waiting for a writer, as a named pipe would have it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ValueError(f"{_FILE}{path} is not a regular file")
            return os.read(descriptor, SECRET_BYTES_MAX + 1)
        finally:
            os.close(descriptor)
    except OSError as cause:
        raise ValueError(f"{_FILE}{path} cannot be read: {cause.strerror}") from cause
