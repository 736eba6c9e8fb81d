"""Row and column policies for DuckDB. DuckDB's own parser judges what sqlglot has understood and what will run."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType

from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.duckdb.functions import ALLOWED
from queryengine.engines.duckdb.text import literal
from queryengine.engines.duckdb.tokens import tokens_of
from queryengine.engines.kit.analysing import CALLED_BARE
from queryengine.engines.kit.lexing import Kind, Token
from queryengine.engines.kit.reading import Placeholder
from queryengine.engines.kit.row_security.grammar import Grammar, narrowed, refused
from queryengine.engines.kit.row_security.nodes import nodes
from queryengine.engines.kit.row_security.rewriting import CTE, Rewriter
from queryengine.engines.kit.row_security.securing import secured as secured_by
from queryengine.engines.kit.row_security.strings import plain_strings
from queryengine.engines.kit.row_security.types import NESTED, PLAIN, WIDE

# fmt: off
_CATALOG: Final = frozenset({
    "aggregate", "alias", "apply", "assert_true", "can_cast_implicitly", "cast_to_type", "col_description",
    "current_catalog", "current_database", "current_query", "current_role", "current_schema", "current_schemas",
    "current_user", "enum_code", "enum_first", "enum_last", "enum_range", "enum_range_boundary", "filter",
    "format_pg_type", "format_type", "generate_subscripts", "get_type", "in_search_path", "invoke",
    "json_serialize_sql", "make_type", "map_to_pg_oid", "obj_description", "parse_filename", "reduce", "replace_type",
    "session_user", "shobj_description", "summary", "test_all_types", "user", "version",
})
"""Allowed elsewhere: they read the catalog, the session or the text that runs, or take a name as a text."""
# fmt: on
_CATALOG_BEGINS: Final = ("duckdb_", "pragma_", "pg_", "has_", "inet_")
FUNCTIONS: Final = frozenset(
    name for name in ALLOWED if name not in _CATALOG and not name.startswith(_CATALOG_BEGINS)
) | {"coalesce", "ifnull", "nvl", "iif", "columns", "row", "list_value", "array", "grouping", "grouping_id"}
TABLE_FUNCTIONS: Final = frozenset({"generate_series", "range", "unnest", "json_each", "json_tree"})
_OPERATORS: Final = frozenset({"!~~", "!~~*", "~~", "~~*", "~~~", "add", "subtract", "multiply", "divide"})
_NODES: Final = """
    Select: with_ expressions distinct from_ laterals joins where group having qualify windows order limit offset
    Union: with_ this expression distinct by_name order limit offset
    Subquery: with_ this alias joins pivots order limit offset
    Table: this db catalog alias joins laterals pivots ordinality
    Pivot: this alias expressions fields unpivot using group into include_nulls columns
    UnpivotColumns: this expressions
    PivotAny: this
    Star: except_ replace rename ilike
    Columns: this unpack
    In: this expressions query field
    TryCast: this to
    Array: expressions bracket_notation
    Struct: expressions
    PropertyEQ: this expression
    PivotAlias: this alias
    ToMap: this
    Bracket: this expressions offset safe returns_list_for_maps
    Slice: this expression step
    Lambda: this expressions
    Comprehension: this expression iterator condition position
    WithinGroup: this expression
"""


def places(sql: str) -> list[Placeholder]:
    """`?`, `$1` and `$name`."""
    try:
        tokens = sqlglot.tokenize(sql, read="duckdb")
    except SqlglotError as cause:
        raise refused("it is not understood") from cause
    found, number = list[Placeholder](), 0
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if token.token_type is TokenType.PLACEHOLDER:
            number += 1
            found.append(Placeholder(str(number), token.start, token.end + 1))
        elif token.token_type is TokenType.PARAMETER and following is not None and following.start == token.end + 1:
            found.append(Placeholder(following.text, token.start, following.end + 1))
    return found


def _mark(place: Placeholder, written: str) -> str:
    return f"${place.name}" if written == "?" else written


def _plain_strings(sql: str) -> str:
    """Where a token counts its places in bytes they must be those of characters."""
    return plain_strings(sql, tokens_of(sql)) if sql.isascii() else sql


def _called(expression: str) -> str:
    """As DuckDB itself calls it."""
    return _judge[0].written(f"SELECT {expression}").removeprefix("SELECT ")


GRAMMAR: Final = Grammar(
    dialect=narrowed(
        DuckDB,
        kept={"CAST", "TRY_CAST", "EXTRACT", "TRIM", "SUBSTRING", "OVERLAY", "CASE", "ANY", "MAP"},
        printed={exp.Pow: lambda printer, node: printer.binary(node, "^")},
    ),
    functions=FUNCTIONS,
    table_functions=TABLE_FUNCTIONS,
    types=PLAIN | WIDE | NESTED | {"STRUCT", "MAP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMPNTZ"},
    nodes=nodes(_NODES),
    fence="OFFSET 0",
    called=_called,
    folds_quoted=True,
    with_is_recursive=False,
    masks={
        "null": "CASE WHEN FALSE THEN {column} END",
        "hash": "sha256({salt} || CAST({column} AS VARCHAR))",
        "last4": "CASE WHEN length(CAST({column} AS VARCHAR)) < 8 THEN '****' "
        "ELSE '****' || right(CAST({column} AS VARCHAR), 4) END",
    },
    places=places,
    mark=_mark,
    plain_strings=_plain_strings,
)


class _Judge:
    """Reads texts with DuckDB's own parser."""

    def __init__(self) -> None:
        self._parser = duckdb.connect(":memory:", config={"threads": 1})

    def same(self, sql: str, printed: str) -> None:
        if _meaning(self._tree(sql)) != _meaning(self._tree(printed)):
            raise refused(
                "DuckDB reads it otherwise than the part of the service that applies policies; write it simpler"
            )

    def reads(self, secured: str, rewriter: Rewriter) -> None:
        tables = 0
        for node in _dicts(self._tree(secured)):
            kind = node.get("type")
            if kind == "BASE_TABLE":
                path = tuple(
                    str(node[part]) for part in ("catalog_name", "schema_name", "table_name") if node.get(part)
                )
                if path in rewriter.used:
                    tables += 1
                elif path not in rewriter.open and not (len(path) == 1 and path[0].startswith(CTE)):
                    raise refused("DuckDB would read a table that the statement does not name")
            elif kind == "SHOW_REF" or (isinstance(kind, str) and kind.endswith("_NODE") and kind not in _READS):
                raise refused("it does more than read tables")
            if "function_name" in node and not self._may_call(str(node["function_name"]).lower()):
                raise refused(f"function {node['function_name']} is not among those that are known to be safe there")
        if tables != rewriter.wraps:
            raise refused("DuckDB would not read each table where the statement names it")

    def written(self, sql: str) -> str:
        """The text as DuckDB writes it."""
        sql = f"SELECT json_deserialize_sql(json_serialize_sql({literal(sql)}::VARCHAR))"
        row = self._parser.execute(sql).fetchone()
        assert row is not None, "it is one row for any text"
        return str(row[0])

    @staticmethod
    def _may_call(name: str) -> bool:
        return name in FUNCTIONS or name in TABLE_FUNCTIONS or name in _OPERATORS

    def _tree(self, sql: str) -> Any:
        row = self._parser.execute(f"SELECT json_serialize_sql({literal(sql)}::VARCHAR)").fetchone()
        assert row is not None, "it is one row for any text"
        tree = json.loads(row[0])
        if tree["error"]:
            raise refused(
                "DuckDB does not take it apart; give a PIVOT its values by IN, and do without DESCRIBE and SUMMARIZE"
            )
        return tree["statements"]


_READS: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE", "STATEMENT_NODE"})
_PLACES: Final = frozenset({"query_location", "query_location_length"})
_SYNONYMS: Final = {
    "bool": "boolean", "bpchar": "varchar", "bytea": "blob", "char": "varchar", "datetime": "timestamp",
    "dec": "decimal", "float": "real", "float4": "real", "float8": "double", "int": "integer", "int1": "tinyint",
    "int2": "smallint", "int4": "integer", "int8": "bigint", "long": "bigint", "logical": "boolean",
    "nvarchar": "varchar", "numeric": "decimal", "short": "smallint", "string": "varchar", "text": "varchar",
    "timestamp with time zone": "timestamptz", "varbinary": "blob", "binary": "blob",
}  # fmt: skip


def _dicts(node: Any) -> Iterator[dict[str, Any]]:
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _meaning(node: Any) -> Any:
    """A tree without the places in the text, and with one form for what has several of the same meaning."""
    if isinstance(node, list):
        return [_meaning(each) for each in node]
    if not isinstance(node, dict):
        # The default, which sqlglot leaves out.
        return "ORDER_DEFAULT" if node == "NULLS LAST" else node
    if node.get("class") == "TYPE":
        return _meaning_of_type(node)
    found = {name: _meaning(each) for name, each in node.items() if name not in _PLACES}
    if node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1:
        word = node["column_names"][0].lower()
        if word in CALLED_BARE:
            found["column_names"] = [word]
    return found


def _meaning_of_type(node: dict[str, Any]) -> Any:
    """A type by one of its names. The length of a text means nothing to DuckDB."""
    name = node["type_name"].lower()
    name = _SYNONYMS.get(name, name)
    children = [] if name == "varchar" else [_meaning(each) for each in node["children"]]
    if name == "decimal" and not children:
        children = [{"literal": text} for text in ("18", "3")]
    elif name == "decimal":
        children = [{"literal": each["literal"]["text"]} if "literal" in each else each for each in children]
    schema = [node.get("catalog", ""), node.get("schema", ""), node.get("alias", "")]
    return ["type", name, children, schema]


_COMMANDS: Final = {"DESCRIBE": "DESCRIBE", "DESC": "DESCRIBE", "SUMMARIZE": "SUMMARIZE"}
_judge: list[_Judge] = []


def secured(sql: str, policy: RowPolicy) -> SecuredText:
    """What runs in place of a text. Raises as `Engine.secured` does."""
    if not _judge:
        _judge.append(_Judge())
    command, query = _described(sql)
    found = secured_by(query, policy, GRAMMAR, lambda _: _judge[0])
    return replace(found, sql=f"{command} {found.sql}") if command else found


def _described(sql: str) -> tuple[str, str]:
    """The word of a DESCRIBE or SUMMARIZE, and the query that it is about: of a table all that is seen of it. An empty
    word, and the text as it is, for another statement.
    """
    tokens = [each for each in tokens_of(sql) if not each.is_sign(";")]
    command = _COMMANDS.get(tokens[0].text.upper(), "") if len(tokens) > 1 else ""
    if not command:
        return "", sql
    rest = sql.encode("utf-8", "replace")[tokens[1].start : tokens[-1].end].decode("utf-8", "replace")
    names, points = tokens[1::2], tokens[2::2]
    is_table = all(each.kind in (Kind.WORD, Kind.QUOTED) for each in names) and all(map(_is_point, points))
    return command, f"FROM {rest}" if is_table else rest


def _is_point(token: Token) -> bool:
    return token.text == "."
