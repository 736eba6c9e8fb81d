"""Names that the settings give: of engines and of rules, and those that certificates give to tenants and subjects."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_CALLER_CHARACTERS_MAX: Final = 128


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError("expected a name of a lower-case letter and up to 62 lower-case letters, digits, - and _")
    return value


def _caller(value: str) -> str:
    if len(value) > _CALLER_CHARACTERS_MAX or not value.isascii() or (value and not value.isprintable()):
        raise ValueError(f"expected at most {_CALLER_CHARACTERS_MAX} printable ASCII characters")
    return no_outer_blanks(value)


def no_outer_blanks(value: str) -> str:
    if value != value.strip(" "):
        raise ValueError("expected a name without a blank at either end")
    return value


Name = Annotated[str, AfterValidator(_name)]
"""Of an engine, or of a rule."""
CallerName = Annotated[str, AfterValidator(_caller)]
"""Of a tenant or a subject; may be empty."""
