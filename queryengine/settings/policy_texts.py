"""What is found wrong in the SQL of policies before an engine reads it: names that can only be misspelt."""

import difflib
import re
from collections.abc import Sequence
from typing import Final

from queryengine.domain.row_policy import CLAIMS, HASH_MASK, LAST4_MASK, NULL_MASK, SUBJECT, TENANT

MASKS: Final = (NULL_MASK, HASH_MASK, LAST4_MASK)
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_BRACED: Final = re.compile(r"\{\s*([A-Za-z_][\w.-]*)\s*\}")
"""What only a placeholder looks like: a struct has a colon, and so have the parameters of ClickHouse."""
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_CONSTANTS: Final = frozenset({"null", "true", "false"})


def check_placeholders(sql: str) -> None:
    """Raises ValueError for a name in braces that stands for nothing."""
    for found in _BRACED.finditer(_QUOTED.sub("''", sql)):
        name, written = found[1], found[0]
        if name in (TENANT, SUBJECT) and written == f"{{{name}}}":
            continue
        if name.startswith(CLAIMS) and len(name) > len(CLAIMS) and written == f"{{{name}}}":
            continue
        near = _near_placeholder(name)
        hint = f"did you mean {{{near}}}?" if near else "known are {tenant}, {subject} and {claims.NAME}"
        raise ValueError(f"unknown placeholder {written}; {hint}")


def check_mask(text: str, columns: Sequence[str]) -> None:
    """Raises ValueError for a single word that is neither a mask nor a column."""
    word = text.strip().lower()
    known = {*MASKS, *_CONSTANTS, *(column.lower() for column in columns)}
    if _WORD.fullmatch(word) and word not in known and not word.startswith("current_"):
        near = difflib.get_close_matches(word, MASKS, n=1)
        expected = f"expected {', '.join(MASKS)}, or an SQL expression over the columns"
        hint = f"did you mean {near[0]}?" if near else expected
        raise ValueError(f"{text!r} is neither a mask nor a column; {hint}")


def _near_placeholder(name: str) -> str:
    first, point, rest = name.partition(".")
    if point and rest:
        return f"{CLAIMS}{rest}" if difflib.get_close_matches(first.lower(), [CLAIMS.rstrip(".")], n=1) else ""
    near = difflib.get_close_matches(name.lower(), [TENANT, SUBJECT], n=1)
    return near[0] if near else ""
