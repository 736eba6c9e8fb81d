"""Statements with other words in place of their placeholders, and where each part stands in the text of the user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from queryengine.domain.errors import Position
from queryengine.engines.kit.reading import Placeholder, StatementText
from queryengine.engines.kit.sqltext import position_of_character


class Piece(NamedTuple):
    """A part of the text that is sent."""

    text: str
    origin: int | None = None
    """Where it stands in the text of the user; for one that fills a placeholder, where that one stands."""
    placeholder: str = ""
    """The name of the placeholder that it fills."""


@dataclass(frozen=True, slots=True)
class PlacedText:
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
    def of(cls, query: StatementText, placeholders: Sequence[Placeholder]) -> Self:
        """`placeholders` in the order of the text."""
        pieces, start = [], query.start
        for each in placeholders:
            pieces.append((query.sql[start : each.start], start))
            start = each.end
        return cls((*pieces, (query.sql[start : query.end], start)), tuple(each.name for each in placeholders))

    def filled(self, replacements: Mapping[str, str]) -> PlacedText:
        made: list[Piece] = []
        for (piece, origin), name in zip(self.pieces, (*self.names, ""), strict=True):
            made.append(Piece(piece, origin))
            if name:
                made.append(Piece(replacements[name], origin + len(piece), name))
        return PlacedText(tuple(made))
