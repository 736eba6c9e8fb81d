"""Mistakes in settings: what is raised for them, and where they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pydantic_core import PydanticCustomError

INSIDE_ERROR: Final = "inside_value"
"""The type of a validation error that lies deeper than the field whose validator has found it."""


class SettingsError(Exception):
    """The settings cannot be used. The message has one line per mistake: where, which key, and what was
    expected.
    """


@contextmanager
def within(*keys: str) -> Iterator[None]:
    """Around a check of what stands below these keys of a field: a ValueError names them, and their line. The message
    does not repeat the value, as the check says what of it is wrong.
    """
    try:
        yield
    except ValueError as cause:
        # Braces would be taken for places of the template.
        context = {"problem": str(cause), "inside": list(keys)}
        raise PydanticCustomError(INSIDE_ERROR, "{problem}", context) from cause
