"""Statements with other words in place of their placeholders, and where each part stands in the text of the user."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import sqlglot

from queryengine.domain.errors import Position
from queryengine.engines.sqltext import position_of_character


@dataclass(frozen=True, slots=True)
class Text:
    """SQL in pieces: those of the user with the offset at which they stand there, ours with None."""

    pieces: tuple[tuple[str, int | None], ...]

    @property
    def sql(self) -> str:
        return "".join(piece for piece, _ in self.pieces)

    def within(self, before: str, after: str = "") -> Self:
        return type(self)(((before, None), *self.pieces, (after, None)))

    def position(self, original: str, offset: int) -> Position | None:
        """The user's place of a character that we sent; None for one that is not the user's."""
        start = 0
        for piece, origin in self.pieces:
            if start <= offset < start + len(piece):
                return None if origin is None else position_of_character(original, origin + offset - start)
            start += len(piece)
        return position_of_character(original, len(original)) if offset == start else None


@dataclass(frozen=True, slots=True)
class Template:
    """A statement, cut at its placeholders; without the semicolon and the comment behind it."""

    pieces: tuple[tuple[str, int], ...]
    names: tuple[str, ...]
    """The placeholder behind each piece but the last."""

    @classmethod
    def cut(cls, sql: str, dialect: str, placeholders: Collection[str]) -> Self:
        """`dialect` is sqlglot's name; `placeholders` are the names of `:name`, or the numbers of `$1`."""
        tokens = sqlglot.tokenize(sql, read=dialect)
        while tokens and tokens[-1].token_type.name == "SEMICOLON":
            tokens.pop()
        pieces, names, start = [], [], 0
        for sign, word in pairwise(tokens):
            is_sign = sign.token_type.name in {"COLON", "PARAMETER"}
            # `a[1:n]` is a slice: the colon of a placeholder follows no word.
            follows = sql[sign.start - 1 : sign.start] if sign.start else ""
            is_slice = sign.token_type.name == "COLON" and (follows.isalnum() or follows in {"_", '"', "]", ")"})
            if is_sign and not is_slice and word.start == sign.end + 1 and word.text in placeholders:
                pieces.append((sql[start : sign.start], start))
                names.append(word.text)
                start = word.end + 1
        end = tokens[-1].end + 1 if tokens else len(sql)
        return cls((*pieces, (sql[start:end], start)), tuple(names))

    def filled(self, replacements: Mapping[str, str]) -> Text:
        made: list[tuple[str, int | None]] = []
        for (piece, origin), name in zip(self.pieces, (*self.names, ""), strict=True):
            made.append((piece, origin))
            if name:
                made.append((replacements[name], None))
        return Text(tuple(made))
