"""A mistake that pydantic finds, as its key and one line of ours."""

import datetime as dt
import difflib
from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from queryengine.domain.expectations import expectation
from queryengine.settings.errors import INSIDE_ERROR
from queryengine.settings.places import place_of, type_of
from queryengine.settings.secret import SECRET_ERROR
from queryengine.settings.yaml_file import CHARACTERS_MAX, Key

_WITH_SECRETS: Final = frozenset({"auth", "engines", "policies", "state", "tls"})
"""Groups in which a text in place of a list or of keys may be a secret."""
_OF_MANY: Final = ("dict", "is_instance", "iterable", "list", "mapping", "model", "sequence", "set", "tuple")
"""What types of errors begin with where a list or keys were expected."""


def described(mistake: ErrorDetails) -> tuple[Key, str]:
    """The key that it is in, as far as it is written; and the line that names the key and what was expected."""
    key, models = place_of(mistake["loc"])
    inside = tuple(mistake["ctx"]["inside"]) if mistake["type"] in (SECRET_ERROR, INSIDE_ERROR) else ()
    named = (*key, *inside) if mistake["type"] == INSIDE_ERROR else key
    return (*key, *inside), f"{'.'.join(named)}: {_expected(mistake, key, models)}"


def _expected(mistake: ErrorDetails, key: Key, models: Sequence[type[BaseModel]]) -> str:
    kind, given, value = mistake["type"], mistake.get("ctx", {}), mistake["input"]
    if kind == "extra_forbidden":
        return f"unknown key{_suggestion(key[-1], models)}"
    if kind in (SECRET_ERROR, INSIDE_ERROR):
        return str(given["problem"])
    if kind == "union_tag_invalid":
        return f"{expectation(kind, given, '')}, not {_shown(given['tag'])}"
    if kind == "union_tag_not_found":
        return f"`type` must be set: one of {', '.join(repr(type_of(each)) for each in models)}"
    expected = expectation(kind, given, mistake["msg"])
    if kind in ("missing", "sequence_str", "string_too_short", "too_short"):
        return expected
    if value is None:
        return f"{expected}, but it has no value"
    return expected + _not_this(value, kind, key)


def _not_this(value: Any, kind: str, key: Key) -> str:
    """The value, where it is plain: keys with values may hold an engine's password."""
    if kind.startswith(_OF_MANY) and key[0] in _WITH_SECRETS:
        return ""
    if isinstance(value, bool):
        # As YAML has it.
        shown = str(value).lower()
    elif isinstance(value, str | int | float | dt.date):
        shown = _shown(value) if isinstance(value, str | dt.date) else repr(value)
    else:
        return ""
    return f", not {shown}" + ("; put it in quotation marks" if kind == "string_type" else "")


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= CHARACTERS_MAX else text[:CHARACTERS_MAX] + "…")


def _suggestion(name: str, models: Sequence[type[BaseModel]]) -> str:
    known = list(dict.fromkeys(key for model in models for key in model.model_fields))
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(known)}"
