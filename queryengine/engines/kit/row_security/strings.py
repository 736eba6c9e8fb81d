"""Strings in dollars and strings with escapes, written as plain ones."""

import re
from collections.abc import Sequence
from typing import Final

from queryengine.engines.kit.lexing import Kind, Token

_DOLLARS: Final = re.compile(r"(\$[^$]*\$)(.*)\1", re.DOTALL)
_ESCAPED: Final = re.compile(r"[eE]'((?:[^'\\]|\\.|'')*+)'", re.DOTALL)
_ESCAPE: Final = re.compile(
    r"\\(?:x(?P<hex>[0-9a-fA-F]{1,2})|u(?P<four>[0-9a-fA-F]{4})|U(?P<eight>[0-9a-fA-F]{8})|(?P<octal>[0-7]{1,3})"
    r"|(?P<sign>.))|''",
    re.DOTALL,
)
_SIGNS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNSURE: Final = frozenset("uUx")
"""With too few digits behind them engines refuse them, or take them for the letter."""


def plain_strings(sql: str, tokens: Sequence[Token]) -> str:
    """The text with strings in dollars, and strings with escapes (`E'...'`), in the form 'it''s'. One stays as it is
    where it holds bytes beyond ASCII by their number, or where it is not certain what it holds.
    """
    pieces, end = list[str](), 0
    for number, token in enumerate(tokens):
        if token.kind is not Kind.STRING:
            continue
        # Strings that follow each other may be one.
        around = [*tokens[max(0, number - 1) : number], *tokens[number + 1 : number + 2]]
        value = None if any(each.kind is Kind.STRING for each in around) else _value(token.text)
        if value is not None:
            quoted = value.replace("'", "''")
            # Nothing may grow together with it.
            pieces += [sql[end : token.start], f" '{quoted}' "]
            end = token.end
    return "".join([*pieces, sql[end:]])


def _value(text: str) -> str | None:
    """What a string of one of these forms holds; None for one of another form, or one that stays."""
    if text.startswith("$"):
        found = _DOLLARS.fullmatch(text)
        return found[2] if found is not None else None
    found = _ESCAPED.fullmatch(text)
    if found is None:
        return None
    pieces, end = list[str](), 0
    for escape in _ESCAPE.finditer(found[1]):
        value = _of_escape(escape)
        if value is None:
            return None
        pieces += [found[1][end : escape.start()], value]
        end = escape.end()
    return "".join([*pieces, found[1][end:]])


def _of_escape(escape: re.Match[str]) -> str | None:
    if escape[0] == "''":
        return "'"
    if (sign := escape["sign"]) is not None:
        return None if sign in _UNSURE else _SIGNS.get(sign, sign)
    digits, base = (escape["octal"], 8) if escape["octal"] else (escape["hex"] or escape["four"] or escape["eight"], 16)
    code = int(digits, base)
    return chr(code) if 0 < code < 0x80 else None
