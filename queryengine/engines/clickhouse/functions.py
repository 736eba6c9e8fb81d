"""Which functions of ClickHouse are known to compute from their arguments; an aggregate also with combinators."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Final

from queryengine.engines.kit.calls import computing, unproven
from queryengine.engines.kit.lexicons import CLICKHOUSE
from queryengine.engines.kit.lexing import Kind, Token

_PACKAGE: Final = "queryengine.engines.clickhouse"
_COMBINATORS: Final = (
    *("argmax", "argmin", "array", "distinct", "foreach", "if", "map", "merge", "null", "ordefault", "ornull"),
    *("resample", "simplestate", "state", "tuple"),
)
_BEFORE_CALL: Final = frozenset(
    {
        "AND",
        "BY",
        "CASE",
        "DISTINCT",
        "ELSE",
        "FROM",
        "HAVING",
        "JOIN",
        "ON",
        "OR",
        "PREWHERE",
        "QUALIFY",
        "SELECT",
        "THEN",
        "WHEN",
    }
    | {"THEN", "WHEN", "WHERE", "WITH"}
)

_BY_NAME: Final = frozenset({"arrayreduce", "arrayreduceinranges", "initializeaggregation"})
"""Functions whose first argument is a text with the name of the aggregate that they call."""
_NAME: Final = re.compile(r"'(\w+)(?:\(.*\))?'", re.ASCII | re.DOTALL)
"""Such a text, with parameters of the aggregate."""


class _Known:
    """The names that compute."""

    def __contains__(self, name: object) -> bool:
        return name in computing(_PACKAGE) or _is_aggregate(str(name))


KNOWN: Final = _Known()


@cache
def _is_aggregate(name: str) -> bool:
    aggregates = computing(_PACKAGE, "aggregates.txt")
    if name in aggregates:
        return True
    return any(name.endswith(each) and _is_aggregate(name.removesuffix(each)) for each in _COMBINATORS)


def not_computing(tokens: Sequence[Token]) -> frozenset[str]:
    """What the statement may call that is not known to compute. `in(x, t)` reads the table t, where `x IN (1, 2)`
    compares.
    """
    return unproven(tokens, CLICKHOUSE, KNOWN) | frozenset(_calls_of_in(tokens))


def _calls_of_in(tokens: Sequence[Token]) -> Iterator[str]:
    for number, token in enumerate(tokens[:-1]):
        if not token.is_word("IN") or not tokens[number + 1].is_sign("("):
            continue
        before = [each for each in tokens[max(0, number - 2) : number] if not each.is_word("NOT")]
        former = before[-1] if before else None
        is_value = former is not None and (
            former.text in {")", "]", "}"}
            if former.kind is Kind.SIGN
            else not (former.kind is Kind.WORD and former.text.upper() in _BEFORE_CALL)
        )
        if not is_value:
            yield "in"


def called_by_name(tokens: Sequence[Token]) -> frozenset[str] | None:
    """The aggregates that functions are given as texts, in lower case; None when one is computed."""
    found = set[str]()
    for number, token in enumerate(tokens[:-1]):
        is_name = token.kind in (Kind.WORD, Kind.QUOTED) and CLICKHOUSE.name(token).lower() in _BY_NAME
        if not is_name or not tokens[number + 1].is_sign("("):
            continue
        match tokens[number + 2 : number + 4]:
            case [Token(kind=Kind.STRING, text=text), Token(text="," | ")")] if named := _NAME.fullmatch(text):
                found.add(named[1].lower())
            case _:
                return None
    return frozenset(found)


def parts_of(names: Iterable[str]) -> frozenset[str]:
    """The aggregates that combinators are behind, as `sum` in `sumIfState`; also those between, as `sumIf`."""
    found = set[str]()
    ahead = list(names)
    while ahead:
        name = ahead.pop()
        for combinator in _COMBINATORS:
            inner = name.removesuffix(combinator)
            if inner != name and inner not in found and _is_aggregate(inner):
                found.add(inner)
                ahead.append(inner)
    return frozenset(found)
