"""Keeps tenants who share a role of PostgreSQL from seeing and ending each other's statements.

To the server all of them are one user, so its own rights do not part them. What of its catalog a statement may use is a
list of what is known to be harmless: a function or a table of `pg_catalog` that a new version adds is refused until it
is looked at. Functions and tables of everybody else are not judged: who makes them, grants them.
"""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.kit.lexicons import POSTGRESQL
from queryengine.engines.kit.lexing import Kind, Token
from queryengine.engines.kit.postgresql.harmless import (
    HARMLESS_FUNCTIONS,
    HARMLESS_TABLES,
    RUNNING_TEXT,
    RUNNING_TEXT_ELSEWHERE,
    SHOWING_STATEMENTS,
)
from queryengine.engines.kit.postgresql.parts import parts_of_with
from queryengine.engines.kit.reaching import Reaching
from queryengine.engines.kit.reading import StatementText
from queryengine.engines.kit.sqltext import position_of_character

_CATALOG: Final = "pg_catalog"
_FUNCTIONS: Final = """
SELECT DISTINCT proname::text FROM pg_catalog.pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace AND (provolatile = 'v' OR proname LIKE 'pg\\_%')
"""
"""What may do more than compute: the volatile ones, and all of the server's own, whatever they say of themselves."""
_TABLES: Final = """
SELECT relname::text FROM pg_catalog.pg_class
WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
"""


@dataclass(frozen=True, slots=True)
class Guard:
    functions: Container[str]
    """Those of `pg_catalog` that no statement may call."""
    tables: Container[str]
    """Those of `pg_catalog` that no statement may read."""
    allowed: frozenset[str] = frozenset()
    """What may be used all the same."""

    @classmethod
    def ask(cls, ask: Callable[[str], list[list[bytes | None]]], allowed: frozenset[str] = frozenset()) -> Self:
        """What this server has, but for functions that are allowed by name."""
        return cls(
            (_names(ask(_FUNCTIONS)) - HARMLESS_FUNCTIONS) | RUNNING_TEXT,
            _names(ask(_TABLES)) - HARMLESS_TABLES,
            allowed,
        )

    def check(self, query: StatementText, allowed: Container[str] = ()) -> None:
        """`allowed` are names that this statement may use as well.

        Raises STATEMENT_NOT_ALLOWED, with its place, for a name that is refused.
        """
        for token, name, is_called in self.found(query):
            if name not in allowed:
                raise _refused(query.sql, token, f"function {name}" if is_called else name)

    def found(self, query: StatementText) -> Iterator[tuple[Token, str, bool]]:
        """What no statement may use: where it stands, its name, and whether it is called."""
        for number, name, is_called, is_elsewhere in _names_in(query.tokens):
            anywhere, of_catalog = (RUNNING_TEXT_ELSEWHERE, self.functions) if is_called else ((), self.tables)
            if name in self.allowed:
                continue
            is_refused = name in SHOWING_STATEMENTS or name in anywhere or (name in of_catalog and not is_elsewhere)
            if is_refused and not _is_part_of_with(query.tokens, number, name, is_called=is_called):
                yield query.tokens[number], name, is_called


def reaching(query: StatementText) -> frozenset[str]:
    """What is known of PostgreSQL to reach beyond the tenant's own data, or to wait, on whichever server."""
    return frozenset(name for _, name, _ in _KNOWN.found(query))


def _names(rows: Sequence[Sequence[bytes | None]]) -> frozenset[str]:
    return frozenset((name or b"").decode() for [name] in rows)


def _names_in(tokens: Sequence[Token]) -> Iterator[tuple[int, str, bool, bool]]:
    """Each name with the number of its token, whether it is called, and whether it is that of another schema or of a
    table's column. Behind AS, a reserved word, stands what something is called from now on, or a type: neither reads
    or calls anything.
    """
    schema, is_new = "", False
    for number, (token, following) in enumerate(pairwise([*tokens, Token(Kind.SIGN, "", 0, 0)])):
        was_new, is_new = is_new, token.is_word("AS")
        if token.kind is Kind.WORD or token.kind is Kind.QUOTED:
            name = _name(token, following)
            if following.text == ".":
                schema = name
                continue
            if was_new:
                continue
            yield number, name, following.text == "(", schema not in {"", _CATALOG}
        schema = schema if token.text == "." else ""


def _is_part_of_with(tokens: Sequence[Token], number: int, name: str, *, is_called: bool) -> bool:
    """Whether the name there names a part of WITH, or means one: it comes before a table of the catalog."""
    if number and tokens[number - 1].text == ".":
        return False
    parts = [part for part in parts_of_with(tokens) if part.name == name]
    return any(part.named_at == number or (part.start <= number < part.end and not is_called) for part in parts)


def _name(token: Token, following: Token) -> str:
    if token.kind is Kind.WORD:
        return token.text.lower()
    if token.text[0] != '"' and following.is_word("UESCAPE"):
        message = 'a name with UESCAPE cannot be checked; use the backslash, as in U&"d\\0061ta"'
        raise error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type="UESCAPE")
    return POSTGRESQL.name(token)


def _refused(sql: str, token: Token, what: str) -> QueryEngineError:
    message = f"{what} of the server is not allowed: it reaches beyond the tenant's own data"
    return error(
        Reason.STATEMENT_NOT_ALLOWED, message, statement_type="SELECT", position=position_of_character(sql, token.start)
    )


_KNOWN: Final = Guard(Reaching.listed(__package__), Reaching.listed(__package__, "reaching_tables.txt"))
