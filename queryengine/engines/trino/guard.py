"""Keeps tenants from seeing each other's statements on a Trino cluster, where all of them may be one user, and from
sending a text past Trino to a source.
"""

from collections.abc import Container, Iterator, Sequence
from typing import Final

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.kit.lexicons import TRINO
from queryengine.engines.kit.lexing import Kind, Token
from queryengine.engines.kit.reading import StatementText
from queryengine.engines.kit.sqltext import position_of_character

_SYSTEM: Final = "system"
_NOTHING: Final = Token(Kind.SIGN, "", 0, 0)
_HARMLESS: Final = frozenset({"builtin", "information_schema", "jdbc", "metadata"})
"""What of the catalog `system` describes tables and functions. `runtime` lists what runs; and where `system` is a
schema of another catalog, its functions `query` and `raw_query` hand a text to the source, where it may write.
"""


def check_home(catalog: str, schema: str) -> None:
    """Raises STATEMENT_NOT_ALLOWED for a catalog or schema in which every name would have to be judged."""
    for feature, name in (("catalog", catalog), ("schema", schema)):
        if name.lower() == _SYSTEM:
            message = f"the {feature} 'system' is not allowed; name its tables in full, as in system.metadata.catalogs"
            raise error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type="SELECT")


def check_names_in(query: StatementText, allowed: Container[str] = ()) -> None:
    """Raises STATEMENT_NOT_ALLOWED, with its place, for a name that is refused; `allowed` has what may stand behind
    `system` all the same.
    """
    for first, second, token, is_column in _pairs(query.tokens):
        if first == _SYSTEM and second not in _HARMLESS and second not in allowed and not is_column:
            raise _refused(query.sql, token, second)


def _pairs(tokens: Sequence[Token]) -> Iterator[tuple[str, str, Token, bool]]:
    """Names with a point between them, as Trino reads them, and whether they are a table's columns, or a table of
    another catalog: behind a point, and not called.
    """
    around = [_NOTHING, *tokens, _NOTHING]
    for former, name, point, following, behind in zip(
        around, around[1:], around[2:], around[3:], around[4:], strict=False
    ):
        if point.is_sign(".") and _is_name(name) and _is_name(following):
            is_column = former.is_sign(".") and not behind.is_sign("(")
            yield TRINO.name(name).lower(), TRINO.name(following).lower(), name, is_column


def _is_name(token: Token) -> bool:
    return token.kind is Kind.WORD or token.kind is Kind.QUOTED


def _refused(sql: str, token: Token, name: str) -> QueryEngineError:
    message = f"system.{name} is not allowed: it reaches beyond the tenant's own data"
    place = position_of_character(sql, token.start)
    return error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type="SELECT", position=place)
