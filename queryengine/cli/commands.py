"""Mistakes in the words of a command, said in this project's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from queryengine.domain.expectations import expectation


class Commands(TyperGroup):
    """The commands, whose values Typer reads by pydantic: without its words in the message of a value that is wrong."""

    def invoke(self, ctx: Any) -> Any:
        with _in_our_words():
            return super().invoke(ctx)


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except typer.BadParameter as error:
        found = getattr(error.__cause__, "errors", None)
        if callable(found):
            error.message = _said(found()[0])
        raise


def _said(mistake: Any) -> str:
    said = expectation(mistake["type"], mistake.get("ctx", {}), mistake["msg"])
    # What a validator of Typer's says has the value already.
    return said if mistake["type"] == "value_error" else f"{said}, not {mistake['input']!r}"
