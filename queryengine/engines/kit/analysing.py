"""What the tokens of a statement say of it. They know no grammar, so a fact errs on the safe side or is not known."""

from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Final

from queryengine.domain.analysis import Analysis
from queryengine.engines.kit.calls import applied
from queryengine.engines.kit.lexing import Kind, Lexer, Token
from queryengine.engines.kit.measuring import kinds_in, measured
from queryengine.engines.kit.reading import StatementText

# fmt: off
NO_FUNCTIONS: Final = frozenset({
    "AND", "AS", "BETWEEN", "BY", "CASE", "DISTINCT", "ELSE", "EXCEPT", "EXISTS", "FROM", "HAVING", "IN", "INTERSECT",
    "IS", "JOIN", "LIMIT", "NOT", "ON", "OR", "OVER", "SELECT", "THEN", "UNION", "USING", "WHEN", "WHERE", "WITH",
})
"""Words of every grammar that stand before a parenthesis, and call nothing or an operator."""
CALLED_BARE: Final = frozenset({
    "current_catalog", "current_date", "current_path", "current_role", "current_schema", "current_time",
    "current_timestamp", "current_user", "localtime", "localtimestamp", "session_user", "sysdate", "system_user",
    "systimestamp", "user",
})
"""Functions that are called without a parenthesis."""
_VARYING: Final = CALLED_BARE | {
    "clock_timestamp", "curdate", "gen_random_uuid", "generateuuidv4", "getdate", "newid", "now", "now64", "rand",
    "randn", "random", "random_normal", "randomblob", "statement_timestamp", "timeofday", "today",
    "transaction_timestamp", "unix_timestamp", "uuid", "uuidv4", "uuidv7", "yesterday",
}
"""What differs from call to call, or from query to query."""
_STEADY: Final = frozenset({
    "abs", "avg", "cast", "ceil", "ceiling", "coalesce", "concat", "count", "floor", "greatest", "least", "length",
    "lower", "ltrim", "max", "min", "nullif", "replace", "round", "rtrim", "substr", "substring", "sum", "trim",
    "upper",
})
"""Functions that mean the same everywhere, and depend on their arguments alone."""
_CHOOSING: Final = frozenset({"FETCH", "LIMIT", "OFFSET", "ON", "OVER", "SAMPLE", "TABLESAMPLE", "TOP"})
"""Words with which rows may be chosen by chance, or by an order that the statement does not give. ON also joins."""
_READING: Final = frozenset({"FROM", "IN", "INTO", "JOIN", "TABLE"})
"""Words behind which a table may stand."""
# fmt: on


def of_tokens(
    query: StatementText,
    lexer: Lexer,
    placeholders: Collection[str],
    *,
    unproven: frozenset[str],
    reaching: frozenset[str],
) -> Analysis:
    """The analysis of a statement that is not refused."""
    words = frozenset(token.text.upper() for token in query.tokens if token.kind is Kind.WORD)
    kind = next((token.text.upper() for token in query.tokens if not token.is_sign("(")), "")
    functions = frozenset(_called(query, lexer))
    queries = kind in {"SELECT", "VALUES", "WITH"}
    return Analysis(
        kind=kind,
        kinds=kinds_in(query.tokens),
        measures=measured(query.tokens),
        tables=frozenset() if queries and not words & _READING else None,
        functions=functions if queries else None,
        unproven=unproven if queries else None,
        reaching=reaching,
        placeholders=frozenset(placeholders),
        is_deterministic=_is_deterministic(functions, words) if queries else None,
        normalised=_normalised(query),
    )


def _called(query: StatementText, lexer: Lexer) -> Iterator[str]:
    following: Token | None
    for token, following in pairwise([*query.tokens, None]):
        assert token is not None
        if token.kind is Kind.WORD and token.text.lower() in CALLED_BARE:
            yield token.text.lower()
        if following is None or not following.is_sign("("):
            continue
        if token.kind is Kind.QUOTED or (token.kind is Kind.WORD and token.text.upper() not in NO_FUNCTIONS):
            yield lexer.name(token).lower()
    for token in applied(query.tokens):
        yield lexer.name(token).lower()


def _is_deterministic(functions: Collection[str], words: Collection[str]) -> bool | None:
    if not _VARYING.isdisjoint(functions):
        return False
    return True if _STEADY.issuperset(functions) and _CHOOSING.isdisjoint(words) else None


def _normalised(query: StatementText) -> str:
    pieces = []
    end = query.start
    for token in query.tokens:
        if token.start > end:
            pieces.append(" ")
        pieces.append(token.text)
        end = token.end
    return "".join(pieces)
