"""A parameter of a named query as `--param` takes it: 'NAME:TYPE[?][=DEFAULT][ # TEXT]'."""

import re
from typing import Any, Final

import typer

from queryengine.cli.options import literal
from queryengine.client import QueryParameter
from queryengine.client.named import REQUIRED
from queryengine.codec.type_names import data_type

_FORM: Final = re.compile(r"\s*(\w+)\s*:\s*([^=?#]+?)\s*(\?)?\s*(?:=(.*?))?\s*(?:\s#\s*(.*))?", re.DOTALL)


def declared(text: str) -> QueryParameter:
    """Raises typer.BadParameter that says what is wrong."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise _wrong(f"{text!r} is not NAME:TYPE, NAME:TYPE=DEFAULT or NAME:TYPE? such as day:date")
    name, kind, mark, default, description = found.groups()
    try:
        data_type(kind)
    except ValueError as error:
        raise _wrong(f"{name}: {error}") from error
    value: Any = REQUIRED if default is None else literal(default)
    return QueryParameter(name, kind, default=value, description=description or "", nullable=mark is not None)


def _wrong(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="'--param'")
