"""What a DuckDB engine runs: one statement that reads, and calls no function that does more than compute.

Judged from the text alone, by DuckDB's own parser. The functions of a statement are taken from its parse tree. A PIVOT
without an IN list has none that DuckDB would show; in such a text the name of a refused function must not stand outside
of strings.
"""

import re
import threading
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, Final

import duckdb

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.duckdb.analysis import analysed
from queryengine.engines.duckdb.errors import translated
from queryengine.engines.duckdb.functions import SYSTEM_VIEWS, never_in_text, why_refused
from queryengine.engines.duckdb.text import literal

_SPACE: Final = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_READ: Final = r"(?:select|with|from|values|table|pivot|unpivot|describe|desc|show|summarize)\b"
_READS: Final = re.compile(rf"{_SPACE}(?:\({_SPACE})*{_READ}", re.IGNORECASE | re.DOTALL)
_EXPLAIN: Final = re.compile(
    rf"{_SPACE}explain\b{_SPACE}(?:analyze\b{_SPACE})?(?:\((?!{_SPACE}{_READ})[^()]*\){_SPACE})?",
    re.IGNORECASE | re.DOTALL,
)
_WRITING_NODE: Final = re.compile(r"(?:INSERT|UPDATE|DELETE|MERGE|COPY)[A-Z_]*_NODE")
_WORD: Final = re.compile(r"[a-z0-9_]+")
_QUOTED: Final = re.compile(r"""'(?:[^']|'')*'|(?P<name>"(?:[^"]|"")*")""")
_OTHER_RULES: Final = ("\\", "$", "--", "/*")
"""Signs of escapes, of strings in dollars, and of comments."""

_PREPARE: Final = """
    PREPARE take_apart AS
    WITH parsed AS (
        SELECT json_serialize_sql($1::VARCHAR, skip_null := true, skip_empty := true, skip_default := true) AS tree
    )
    SELECT $1, (tree->'error')::BOOLEAN, tree->>'$..type', tree->>'$..function_name',
        tree->>'$..function.function_name', tree->>'$..table_name', CASE WHEN length($1) <= 4096 THEN tree END
    FROM parsed
"""
"""The tree itself is asked for short texts only: it is some twenty times as long as its text."""
_FUNCTIONS: Final = """
    SELECT lower(function_name), bool_or(internal), bool_and(coalesce(stability = 'CONSISTENT', false))
    FROM duckdb_functions() GROUP BY ALL
"""
_MADE_OF: Final = r"""
    SELECT lower(function_name), lower(regexp_extract(macro_definition, 'list_aggr\(.*, ''(\w+)''', 1))
    FROM duckdb_functions()
    WHERE internal AND starts_with(function_name, 'list_') AND macro_definition LIKE 'list_aggr(%'
"""
_VIEWS: Final = "SELECT lower(view_name) FROM duckdb_views() WHERE internal"


class StatementCheck:
    """Judges texts with a DuckDB of its own. Thread-safe, one text at a time."""

    def __init__(self, catalog: duckdb.DuckDBPyConnection | None = None) -> None:
        """`catalog` is the instance whose functions count as built in, by default one that has loaded no extension."""
        self._parser = duckdb.connect(":memory:", config={"threads": 1})
        self._lock = threading.Lock()
        source = catalog or self._parser
        functions = source.execute(_FUNCTIONS).fetchall()
        self._builtin = builtin = frozenset(name for name, internal, _ in functions if internal)
        self._steady = frozenset(name for name, _, is_steady in functions if is_steady) & builtin
        self._made_of = dict(source.execute(_MADE_OF).fetchall())
        views = {name for (name,) in source.execute(_VIEWS).fetchall()}
        self._views = frozenset(views - SYSTEM_VIEWS)
        self._never = never_in_text(self._builtin)
        # From here on errors come with their place in the text.
        self._parser.execute("SET errors_as_json = true")
        self._parser.execute(_PREPARE)

    def check(self, sql: str, allowed: AbstractSet[str] = frozenset()) -> Any:
        """DuckDB's Statement for the text, when it may run. `allowed` are functions and system views that it may use
        whatever the lists say.

        Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED. A name that DuckDB does not have
        passes: it may be a macro of the engine, or DuckDB says that there is none. What hides a write from the parser,
        the read-only transaction of an execution still refuses.
        """
        with self._lock:
            return self._checked(sql, allowed)[0]

    def analyse(self, sql: str, allowed: AbstractSet[str] = frozenset()) -> Analysis:
        """What is known of the text, when it may run. Raises as `check` does."""
        with self._lock:
            statement, called, tree = self._checked(sql, allowed)
        return analysed(
            sql, statement.named_parameters, called=called, tree=tree, steady=self._steady, made_of=self._made_of
        )

    def close(self) -> None:
        """Release the parser. Idempotent."""
        with self._lock:
            self._parser.close()

    def _checked(self, sql: str, allowed: AbstractSet[str]) -> tuple[Any, frozenset[str] | None, str | None]:
        """DuckDB's Statement, and of the query in it what it calls and its tree, where they can be had."""
        try:
            statements = self._parser.extract_statements(sql)
        except duckdb.Error as cause:
            raise translated(cause, sql) from cause
        if len(statements) != 1:
            count = len(statements)
            raise error(Reason.NOT_ONE_STATEMENT, f"expected one statement, got {count}", statements=count)
        statement = statements[0]
        kind = statement.type.name
        explain = _EXPLAIN.match(sql) if kind in ("EXPLAIN", "MULTI") else None
        called: frozenset[str] | None = None
        tree: str | None = None
        if explain is not None:
            _, called, tree = self._checked(sql[explain.end() :], allowed)
        # A PIVOT that has to find its columns parses as several statements.
        elif kind == "SELECT" or (kind == "MULTI" and _READS.match(sql)):
            called, tree = self._check_names(sql, allowed)
        else:
            raise _kind_not_allowed(kind)
        return statement, called, tree

    def _check_names(self, sql: str, allowed: AbstractSet[str]) -> tuple[frozenset[str] | None, str | None]:
        """What a text that is taken apart calls, and its tree if it is short."""
        # EXECUTE takes no parameters, and to prepare anew would take three times as long.
        row = self._parser.execute(f"EXECUTE take_apart({literal(sql)})").fetchone()
        assert row is not None, "it is one row for any text"
        seen, failed, types, functions, table_functions, tables, tree = row
        if failed or seen != sql:
            self._check_words(sql, allowed)
            return None, None
        for node in types:
            if _WRITING_NODE.fullmatch(node):
                raise _kind_not_allowed(node.partition("_")[0])
        for names, is_table in ((functions, False), (table_functions, True)):
            for name in map(str.lower, names):
                if name in allowed or name not in self._builtin:
                    continue
                if why := why_refused(name, is_table=is_table):
                    raise _name_not_allowed("function", name, why)
        for name in map(str.lower, tables):
            if name in self._views and name not in allowed:
                raise _name_not_allowed("view", name, "it shows other queries or the process")
        return frozenset((*functions, *table_functions)), str(tree) if tree is not None else None

    def _check_words(self, sql: str, allowed: AbstractSet[str]) -> None:
        lowered = sql.lower()
        outside = _outside_strings(lowered)
        found = self._never.intersection(_WORD.findall(outside))
        found |= {name for name in self._never if not name.isidentifier() and f'"{name}"' in outside}
        # A table may be named by a string.
        found |= self._views.intersection(_WORD.findall(lowered))
        if found := found - allowed:
            why = "nor may it stand anywhere in a PIVOT without an IN list, which cannot be taken apart; add an IN list"
            raise _name_not_allowed("function", min(found), why)


def _outside_strings(sql: str) -> str:
    """The text without its strings, which call nothing. As it is where another rule than that of quotes alone may say
    where a string ends.
    """
    return sql if any(sign in sql for sign in _OTHER_RULES) else _QUOTED.sub(lambda found: found["name"] or "''", sql)


def explained_statement(sql: str) -> str:
    """What an EXPLAIN explains; any other text as it is."""
    explain = _EXPLAIN.match(sql)
    return sql[explain.end() :] if explain is not None else sql


@cache
def default_check() -> StatementCheck:
    """The check of a process that has no engine. Made once: a DuckDB takes some 10 ms to start."""
    return StatementCheck()


def _kind_not_allowed(kind: str) -> QueryEngineError:
    message = f"{kind} statements are not allowed; a statement may only read"
    return error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type=kind)


def _name_not_allowed(kind: str, name: str, why: str) -> QueryEngineError:
    return error(Reason.STATEMENT_NOT_ALLOWED, f"{kind} {name!r} is not allowed: {why}", name=name)
