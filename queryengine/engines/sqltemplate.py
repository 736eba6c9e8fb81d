"""Statements with other words in place of their placeholders, and where each part stands in the text of the user."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Self

import sqlglot

from queryengine.domain.errors import Position
from queryengine.engines.reading import Placeholder, Query
from queryengine.engines.sqltext import position_of_character


class Piece(NamedTuple):
    """A part of the text that is sent."""

    text: str
    origin: int | None = None
    """Where it stands in the text of the user; for one that fills a placeholder, where that one stands."""
    placeholder: str = ""
    """The name of the placeholder that it fills."""


@dataclass(frozen=True, slots=True)
class Text:
    """SQL in pieces: those of the user, those that fill placeholders, and ours."""

    pieces: tuple[Piece, ...]

    @property
    def sql(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    def within(self, before: str, after: str = "") -> Self:
        return type(self)((Piece(before), *self.pieces, Piece(after)))

    def position(self, original: str, offset: int) -> Position | None:
        """The user's place of a character that we sent; None for one that is not the user's."""
        piece, within = self._piece(offset)
        if piece is None:
            return position_of_character(original, len(original)) if within == 0 else None
        if piece.origin is None:
            return None
        return position_of_character(original, piece.origin if piece.placeholder else piece.origin + within)

    def placeholder(self, offset: int) -> str:
        """The name of the placeholder that a character that we sent fills; empty when it fills none."""
        piece, _ = self._piece(offset)
        return piece.placeholder if piece is not None else ""

    def _piece(self, offset: int) -> tuple[Piece | None, int]:
        """The piece of a character and its offset there; without a piece, how far it is behind the end."""
        start = 0
        for piece in self.pieces:
            if start <= offset < start + len(piece.text):
                return piece, offset - start
            start += len(piece.text)
        return None, offset - start


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

    @classmethod
    def of(cls, query: Query, placeholders: Sequence[Placeholder]) -> Self:
        """`placeholders` in the order of the text."""
        pieces, start = [], query.start
        for each in placeholders:
            pieces.append((query.sql[start : each.start], start))
            start = each.end
        return cls((*pieces, (query.sql[start : query.end], start)), tuple(each.name for each in placeholders))

    def filled(self, replacements: Mapping[str, str]) -> Text:
        made: list[Piece] = []
        for (piece, origin), name in zip(self.pieces, (*self.names, ""), strict=True):
            made.append(Piece(piece, origin))
            if name:
                made.append(Piece(replacements[name], origin + len(piece), name))
        return Text(tuple(made))
