"""The parts of WITH in a statement: where each is named, and where its name means it and not a table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from queryengine.engines.kit.calls import closing
from queryengine.engines.kit.lexicons import POSTGRESQL
from queryengine.engines.kit.lexing import Kind, Token


class Part(NamedTuple):
    """Places are numbers of tokens."""

    name: str
    named_at: int
    start: int
    """From here on, to `end`, the name means this part wherever it stands without a schema."""
    end: int


def parts_of_with(tokens: Sequence[Token]) -> list[Part]:
    """All parts. One behind SEARCH or CYCLE is left out."""
    closed = closing(tokens)
    found = list[Part]()
    for number, token in enumerate(tokens):
        # Elsewhere the word is that of WITH ORDINALITY, WITH TIME ZONE and the like.
        if token.is_word("WITH") and (not number or tokens[number - 1].is_sign("(")):
            end = closed.get(number - 1, len(tokens)) if number else len(tokens)
            found += _parts(tokens, closed, number, end)
    return found


def _parts(tokens: Sequence[Token], closed: Mapping[int, int], start: int, end: int) -> Iterator[Part]:
    is_recursive = start + 1 < end and tokens[start + 1].is_word("RECURSIVE")
    number = start + 1 + is_recursive
    while number + 2 < end and tokens[number].kind in (Kind.WORD, Kind.QUOTED):
        body = number + 1
        if tokens[body].is_sign("("):
            body = closed.get(body, end) + 1
        if body >= end or not tokens[body].is_word("AS"):
            return
        body += 1
        while body < end and tokens[body].is_word("NOT", "MATERIALIZED"):
            body += 1
        if body not in closed:
            return
        # A part that is not recursive may read the table whose name it takes.
        behind = closed[body] + 1
        yield Part(_name(tokens[number]), number, start if is_recursive else behind, end)
        if behind >= end or not tokens[behind].is_sign(","):
            return
        number = behind + 1


def _name(token: Token) -> str:
    return token.text.lower() if token.kind is Kind.WORD else POSTGRESQL.name(token)
