"""What a DuckDB engine runs: one statement that reads. Judged from the text alone, by DuckDB's own parser."""

import json
import re
from typing import Any, Final

import duckdb

from queryengine.domain.errors import Reason, error
from queryengine.engines.duckdb.errors import told, translated

_SPACE: Final = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_EXPLAIN: Final = re.compile(
    rf"{_SPACE}explain\b{_SPACE}(?:analyze\b{_SPACE})?(?:\([^()]*\){_SPACE})?", re.IGNORECASE | re.DOTALL
)
_READS: Final = re.compile(rf"{_SPACE}\(*{_SPACE}(?:select|with|from|pivot|unpivot)\b", re.IGNORECASE | re.DOTALL)
_WRITES: Final = re.compile(r"\b(?:insert|update|delete|merge|truncate|copy)\b", re.IGNORECASE)
_WRITING_NODE: Final = re.compile(r"(?:INSERT|UPDATE|DELETE|MERGE|COPY)[A-Z_]*_NODE")


def check_text(sql: str) -> Any:
    """DuckDB's Statement for the text, when it is one query that reads.

    Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED. What hides a write from the
    parser, the read-only transaction of an execution still refuses.
    """
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as cause:
        raise _with_position(sql, cause) from cause
    if len(statements) != 1:
        count = len(statements)
        raise error(Reason.NOT_ONE_STATEMENT, f"expected one statement, got {count}", statements=count)
    statement = statements[0]
    kind = statement.type.name
    explain = _EXPLAIN.match(sql) if kind == "EXPLAIN" else None
    if explain is not None:
        check_text(sql[explain.end() :])
    # A PIVOT that has to find its columns parses as several statements.
    elif kind != "SELECT" and not (kind == "MULTI" and _READS.match(sql)):
        raise _not_allowed(kind)
    elif _WRITES.search(sql) and (hidden := _hidden_write(sql)):
        raise _not_allowed(hidden)
    return statement


def _not_allowed(kind: str) -> Exception:
    message = f"{kind} statements are not allowed; only one query that reads"
    return error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type=kind)


def _with_position(sql: str, cause: duckdb.Error) -> Exception:
    """The failure for text that does not parse. Only a connection set to JSON tells the exact place."""
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute("SET errors_as_json = true")
        try:
            connection.extract_statements(sql)
        except duckdb.Error as again:
            return translated(again, sql)
    return error(Reason.SYNTAX_ERROR, told(cause).message)


def _hidden_write(sql: str) -> str | None:
    """The word for a write within a query, such as a CTE that deletes; None when there is none to be seen."""
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    tree = json.loads(row[0]) if row else {}
    waiting: list[Any] = [tree]
    while waiting:
        match waiting.pop():
            case dict() as node:
                if isinstance(kind := node.get("type"), str) and _WRITING_NODE.fullmatch(kind):
                    return kind.partition("_")[0]
                waiting.extend(node.values())
            case list() as nodes:
                waiting.extend(nodes)
            case _:
                pass
    return None
