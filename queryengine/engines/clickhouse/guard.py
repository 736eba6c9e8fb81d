"""Keeps tenants from seeing each other's statements on a ClickHouse server, to which all of them are one user.

Of the database `system` a statement may read what is on a list; functions are judged that read by a name in a text, or
reach a file. `readonly`, in which every statement runs, refuses other servers, addresses and every change.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Final

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.kit.lexicons import CLICKHOUSE
from queryengine.engines.kit.lexing import Kind, Token
from queryengine.engines.kit.reading import StatementText
from queryengine.engines.kit.sqltext import position_of_character

SYSTEM: Final = "system"
# fmt: off
_HARMLESS: Final = frozenset({
    "aggregate_function_combinators", "build_options", "codecs", "collations", "columns", "constraints", "contributors",
    "current_roles", "data_skipping_index_types", "data_skipping_indices", "data_type_families", "database_engines",
    "databases", "dictionaries", "dictionary_layouts", "documentation", "enabled_roles", "formats", "functions",
    "keywords", "licenses", "merge_tree_settings", "numbers", "numbers_mt", "one", "parts", "parts_columns", "primes",
    "projection_parts", "projection_parts_columns", "projections", "settings", "table_engines", "table_functions",
    "tables", "time_zones", "tokenizers", "unicode", "zeros", "zeros_mt",
})
"""Tables of `system` that describe schemas, data and functions, and not who runs what."""
_BY_TEXT: Final = frozenset({
    "catboostevaluate", "cluster", "clusterallreplicas", "eval", "executable", "file", "fuzzquery", "input", "loop",
    "mergetreeanalyzeindexes", "mergetreeanalyzeindexesuuid", "mergetreecodecblockcounts", "mergetreeindex",
    "mergetreeprojection", "mergetreetextindex", "remote", "remotesecure",
})
# fmt: on
"""Functions that read the table that a text names, run a text, or read a file, where `readonly` may not refuse them."""


def check_schema(schema: str) -> None:
    """Raises STATEMENT_NOT_ALLOWED for the database in which every name would have to be judged."""
    if schema.lower() == SYSTEM:
        message = "the schema 'system' is not allowed; name its tables in full, as in system.tables"
        raise error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type="SELECT")


def check_names_in(query: StatementText, identifiers: Mapping[str, Any], allowed: Container[str] = ()) -> None:
    """`identifiers` are the values of parameters of the type Identifier; `allowed` has names that may be used all the
    same.

    Raises STATEMENT_NOT_ALLOWED, with its place, for a name that is refused.
    """
    for name, what, token in _found(query, identifiers):
        if name not in allowed:
            raise _refused(query.sql, token, what)


def names_in(query: StatementText) -> frozenset[str]:
    """The names that are refused, as far as the text itself shows them."""
    return frozenset(name for name, _, _ in _found(query, {}))


def _found(query: StatementText, identifiers: Mapping[str, Any]) -> Iterator[tuple[str, str, Token]]:
    """What is refused: its name in lower case without the database, how to call it, and where it stands."""
    names = _names(query.tokens, identifiers)
    for number, (name, token) in enumerate(names):
        following = names[number + 1][0] if number + 1 < len(names) else ""
        called = name.lower() if following == "(" and token.kind is not Kind.SIGN else ""
        # Behind a point it is the name of a table or of a column: no table has a name of three parts.
        is_inside = number > 0 and names[number - 1][1].is_sign(".")
        if name.lower() == SYSTEM and not is_inside and following == "." and number + 2 < len(names):
            table = names[number + 2][0].lower()
            if table not in _HARMLESS:
                yield table, f"the table {SYSTEM}.{table}", token
        elif called in _BY_TEXT:
            yield called, f"the function {name}", token
        elif called == "merge" and not _names_its_database(names[number + 2 : number + 6]):
            yield called, "the function merge without the name of a database of one's own", token


def _names(tokens: Sequence[Token], identifiers: Mapping[str, Any]) -> list[tuple[str, Token]]:
    """Names as ClickHouse reads them, and everything else as it is written; a placeholder as what it stands for."""
    found: list[tuple[str, Token]] = []
    number = 0
    while number < len(tokens):
        token = tokens[number]
        if token.is_sign("{") and number + 4 < len(tokens) and tokens[number + 1].text in identifiers:
            found.append((str(identifiers[tokens[number + 1].text]), tokens[number + 1]))
            number += 5
            continue
        found.append((CLICKHOUSE.name(token), token))
        number += 1
    return found


def _names_its_database(arguments: Sequence[tuple[str, Token]]) -> bool:
    """Whether the arguments are a pattern, or the name of a database that is not `system` and a pattern."""
    match [token.kind for _, token in arguments]:
        case [Kind.STRING, Kind.SIGN, *_] if arguments[1][0] == ")":
            return True
        case [Kind.STRING | Kind.WORD | Kind.QUOTED, Kind.SIGN, Kind.STRING, Kind.SIGN] if arguments[1][0] == ",":
            return arguments[0][0].strip("'").lower() != SYSTEM and "\\" not in arguments[0][1].text
        case _:
            return False


def _refused(sql: str, token: Token, what: str) -> QueryEngineError:
    message = f"{what} is not allowed: it reaches beyond the tenant's own data"
    place = position_of_character(sql, token.start)
    return error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type="SELECT", position=place)
