"""The tokens of a text as DuckDB's own lexer cuts it, in the form that all dialects share."""

from itertools import pairwise
from typing import Final

import duckdb

from queryengine.engines.kit.lexing import Kind, Token

_KINDS: Final = {
    duckdb.token_type.identifier: Kind.WORD,
    duckdb.token_type.keyword: Kind.WORD,
    duckdb.token_type.numeric_const: Kind.NUMBER,
    duckdb.token_type.string_const: Kind.STRING,
    duckdb.token_type.operator: Kind.SIGN,
}
"""Comments are left out."""


def tokens_of(sql: str) -> list[Token]:
    """Places are those of bytes in UTF-8."""
    text = sql.encode("utf-8", "replace")
    found = []
    for (start, kind), (end, _) in pairwise([*duckdb.tokenize(sql), (len(text), None)]):
        if kind in _KINDS:
            piece = text[start:end].rstrip()
            written = piece.decode("utf-8", "replace")
            found.append(Token(Kind.QUOTED if written[:1] == '"' else _KINDS[kind], written, start, start + len(piece)))
    return found
