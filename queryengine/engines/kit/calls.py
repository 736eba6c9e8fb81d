"""Which calls of a statement are not known to be harmless, from its tokens: none is missing, whatever the dialect.

Names that stand before a parenthesis without calling anything are passed over only where no dialect could call a
function: behind AS, and where a table, or a part of WITH, is followed by the names of its columns.
"""

from collections.abc import Container, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from queryengine.engines.kit.lexing import Kind, Lexer, Token

# fmt: off
_SYNTAX: Final = frozenset({
    "all", "and", "anti", "any", "array", "as", "asc", "between", "by", "case", "cast", "cross", "cube", "desc",
    "distinct", "else", "except", "exclude", "exists", "filter", "from", "full", "group", "having", "ilike", "in",
    "inner", "intersect", "is", "join", "lateral", "left", "like", "limit", "materialized", "minus", "not", "offset",
    "on", "or", "outer", "over", "partition", "prewhere", "qualify", "recursive", "right", "rollup", "row", "select",
    "semi", "sets", "some", "table", "then", "union", "using", "values", "when", "where", "window", "with", "within",
})
"""Words that stand before a parenthesis as syntax, or as a function that computes, in every dialect."""
# fmt: on
_QUERY: Final = ("FROM", "SELECT", "TABLE", "VALUES", "WITH")


@cache
def computing(package: str, file: str = "computing.txt") -> frozenset[str]:
    """The names in a file of a package: functions, types and words of a dialect that compute from their arguments, and
    reach nothing. In lower case. A `#` begins a comment.
    """
    lines = files(package).joinpath(file).read_text(encoding="utf-8").splitlines()
    return frozenset(name for line in lines for name in line.partition("#")[0].split())


def unproven(tokens: Sequence[Token], lexer: Lexer, known: Container[str]) -> frozenset[str]:
    """What the statement may call that is not among the known names, in lower case."""
    called = [*_called(tokens), *applied(tokens)]
    # In quotes a word of the syntax is a name.
    names = {lexer.name(token).lower() for token in called if token.text.lower() not in _SYNTAX}
    return frozenset(name for name in names if name not in known)


def applied(tokens: Sequence[Token]) -> Iterator[Token]:
    """Functions that APPLY calls by their name alone, as in `* APPLY(f)`."""
    for number, token in enumerate(tokens):
        if token.is_word("APPLY"):
            behind = [each for each in tokens[number + 1 : number + 3] if not each.is_sign("(")]
            if behind and behind[0].kind in (Kind.WORD, Kind.QUOTED):
                yield behind[0]


def _called(tokens: Sequence[Token]) -> Iterator[Token]:
    closed = closing(tokens)
    opening = {end: start for start, end in closed.items()}
    for number, token in enumerate(tokens[:-1]):
        if token.kind not in (Kind.WORD, Kind.QUOTED, Kind.STRING) or not tokens[number + 1].is_sign("("):
            continue
        former = tokens[number - 1] if number else None
        if former is not None and (former.is_word("AS") or _names_columns(tokens, opening.get(number - 1))):
            continue
        if not _is_part_of_with(tokens, number, closed.get(number + 1)):
            yield token


def closing(tokens: Sequence[Token]) -> dict[int, int]:
    """Where each parenthesis that opens is closed."""
    opened, found = [], {}
    for number, token in enumerate(tokens):
        if token.is_sign("("):
            opened.append(number)
        elif token.is_sign(")") and opened:
            found[opened.pop()] = number
    return found


def _names_columns(tokens: Sequence[Token], start: int | None) -> bool:
    """Whether a name behind the parenthesis that opens there is that of a table: `DISTINCT ON (a) f(b)` calls."""
    return start is not None and (not start or not tokens[start - 1].is_word("ON", "TOP", "DISTINCT", "ALL"))


def _is_part_of_with(tokens: Sequence[Token], number: int, end: int | None) -> bool:
    """Whether `name (a, b) AS (SELECT …` begins here; in `f(x) AS (a, b)` names follow, whatever they are called."""
    former = tokens[number - 1] if number else None
    if end is None or former is None or not (former.is_word("WITH", "RECURSIVE") or former.is_sign(",")):
        return False
    behind = [each for each in tokens[end + 1 : end + 7] if not each.is_word("NOT", "MATERIALIZED")]
    if len(behind) < 4 or not behind[0].is_word("AS") or not behind[1].is_sign("("):
        return False
    return behind[2].is_word(*_QUERY) and behind[3].text not in {",", ")"}
