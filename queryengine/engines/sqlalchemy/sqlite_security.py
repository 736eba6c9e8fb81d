"""Row and column policies for SQLite. SQLite itself judges, on an empty database with the same tables."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final

from sqlglot import exp
from sqlglot.dialects.sqlite import SQLite

from queryengine.domain.errors import Reason, error
from queryengine.domain.row_policy import RelationPolicy, RowPolicy, SecuredText
from queryengine.engines.base import PolicyProblem
from queryengine.engines.kit.lexicons import SQLITE
from queryengine.engines.kit.lexing import Kind
from queryengine.engines.kit.reading import Placeholder, StatementText
from queryengine.engines.kit.row_security.grammar import Grammar, lowered, narrowed, refused
from queryengine.engines.kit.row_security.nodes import nodes
from queryengine.engines.kit.row_security.problems import problems
from queryengine.engines.kit.row_security.rewriting import CTE, Rewriter
from queryengine.engines.kit.row_security.securing import secured as secured_by
from queryengine.engines.kit.row_security.types import words
from queryengine.engines.sqlalchemy.sqlite_check import items

FUNCTIONS: Final = words(
    """
    abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char coalesce concat concat_ws cos cosh count
    cume_dist current_date current_time current_timestamp date datetime degrees dense_rank exp first_value floor
    format glob group_concat hex ifnull iif instr json json_array json_array_length json_extract json_group_array
    json_group_object json_insert json_object json_patch json_quote json_remove json_replace json_set json_type
    json_valid julianday lag last_value lead length like ln log log10 log2 lower ltrim max min mod nth_value ntile
    nullif octet_length percent_rank pi pow power printf quote radians random rank replace round row_number rtrim
    sign sin sinh sqrt strftime string_agg substr substring sum tan tanh time timediff total trim trunc typeof unhex
    unicode unixepoch upper zeroblob -> ->>
    """
)
TABLE_FUNCTIONS: Final = frozenset({"json_each", "json_tree"})
_NOT_OPEN: Final = "policies of a SQLite engine cannot be open by default; name its tables with `open: true`"
_NODES: Final = """
    HexString: this is_integer
"""


def places(sql: str) -> list[Placeholder]:
    """`?`, `?1`, `:name`, `@name` and `$name`."""
    found, greatest = list[Placeholder](), 0
    for token in StatementText.read(sql, SQLITE).tokens:
        if token.kind is Kind.MARK:
            number = token.text[1:]
            if token.text[0] == "?":
                greatest = max(greatest, int(number)) if number else greatest + 1
                number = number or str(greatest)
            found.append(Placeholder(number, token.start, token.end))
    return found


def _mark(place: Placeholder, written: str) -> str:
    return f"?{place.name}" if written == "?" else written


def _backticks(_: Any, node: Any) -> str:
    """A name in double quotes that SQLite does not find is a text to it, and not a mistake."""
    return f"`{str(node.this).replace('`', '``')}`"


GRAMMAR: Final = Grammar(
    dialect=narrowed(SQLite, kept={"CAST", "CASE"}, printed={exp.Identifier: _backticks}),
    functions=FUNCTIONS,
    table_functions=TABLE_FUNCTIONS,
    types=frozenset({"BIGINT", "DECIMAL", "DOUBLE", "FLOAT", "INT", "TEXT", "VARCHAR", "BLOB", "VARBINARY"}),
    nodes=nodes(_NODES),
    fence="LIMIT -1",
    called=lambda text: text,
    folds_quoted=True,
    with_is_recursive=True,
    masks={
        "null": "CASE WHEN FALSE THEN {column} END",
        "last4": "CASE WHEN length(CAST({column} AS TEXT)) < 8 THEN '****' "
        "ELSE '****' || substr(CAST({column} AS TEXT), -4) END",
    },
    places=places,
    mark=_mark,
    unnamed=frozenset({"_rowid_", "oid", "rowid"}),
)


def secured(sql: str, policy: RowPolicy) -> SecuredText:
    """What runs in place of a text. Raises as `Engine.secured` does."""
    if policy.default_open:
        raise error(Reason.RELATION_NOT_ALLOWED, _NOT_OPEN)
    return secured_by(sql, policy, GRAMMAR, _Judge, _name_columns)


def policy_problems(policy: RowPolicy) -> Sequence[PolicyProblem]:
    """As `Engine.policy_problems`."""
    found: list[PolicyProblem] = [*problems(policy, GRAMMAR)]
    if policy.default_open:
        found.append((None, _NOT_OPEN))
    return found


class _Judge:
    """SQLite, with the tables of a policy and no rows."""

    def __init__(self, policy: RowPolicy) -> None:
        self._policy = policy

    def same(self, sql: str, printed: str) -> None:
        tables = [(each, each.visible) for each in self._policy.relations]
        with closing(_database(tables)) as database:
            if _program(database, _numbered(sql)) != _program(database, printed):
                raise refused(
                    "SQLite reads it otherwise than the part of the service that applies policies; write it simpler"
                )

    def reads(self, secured: str, rewriter: Rewriter) -> None:
        tables = [(each, each.columns) for each in self._policy.relations if each.path in rewriter.used]
        known = {(lowered(each.path[-1]), lowered(column)) for each, columns in tables for column in columns}
        wrong: list[str] = []

        def judge(action: int, first: str | None, second: str | None, place: str | None, view: str | None) -> int:
            ok = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE)
            if action == sqlite3.SQLITE_READ:
                is_own = (lowered(first or ""), lowered(second or "")) in known and place == "main"
                # A column of json_each, and a table of which only the number of rows is read.
                is_direct = view is None or view.startswith(CTE)
                ok = is_direct and (is_own or first in TABLE_FUNCTIONS or second == "")
            elif action == sqlite3.SQLITE_FUNCTION:
                ok = (second or "").lower() in FUNCTIONS
            if not ok:
                wrong.append(second or first or "")
            return sqlite3.SQLITE_OK if ok else sqlite3.SQLITE_DENY

        with closing(_database(tables)) as database:
            # What json_each is made of, it makes at its first use.
            database.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")
            database.set_authorizer(judge)
            try:
                _program(database, secured)
            finally:
                database.set_authorizer(None)


def _database(tables: list[tuple[RelationPolicy, tuple[str, ...]]]) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.text_factory = bytes
    for each, columns in tables:
        database.execute(f"CREATE TABLE main.{_quoted(each.path[-1])} ({', '.join(map(_quoted, columns))})")
    return database


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _program(database: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    """What SQLite would do for a text: equal for texts of equal meaning."""
    parameters = {place.name: None for place in places(sql)}
    positional = [None] * max([int(name) for name in parameters if name.isdigit()], default=0)
    try:
        return database.execute(f"EXPLAIN {sql}", positional or parameters).fetchall()
    except sqlite3.Error as cause:
        raise error(Reason.STATEMENT_REJECTED, f"SQLite: {cause}") from cause


def _numbered(sql: str) -> str:
    """The text with its placeholders as they are printed, as a program has their names."""
    pieces, start = list[str](), 0
    for place in places(sql):
        pieces += [sql[start : place.start], _mark(place, sql[place.start : place.end])]
        start = place.end
    return "".join([*pieces, sql[start:]])


def _name_columns(sql: str, tree: Any) -> None:
    """An expression without a name is called like its text, which is not what runs."""
    select = tree
    while isinstance(select, exp.SetOperation | exp.Subquery):
        select = select.this
    if not isinstance(select, exp.Select):
        return
    texts = list(_texts(sql))
    if len(texts) != len(select.expressions):
        raise refused("its columns have no certain names; name them by AS")
    for text, item in zip(texts, list(select.expressions), strict=True):
        if not isinstance(item, exp.Alias | exp.Column | exp.Star):
            item.replace(exp.alias_(item.copy(), exp.to_identifier(text, quoted=True)))


def _texts(sql: str) -> Iterator[str]:
    for item in items(StatementText.read(sql, SQLITE).tokens):
        yield sql[item[0].start : item[-1].end] if item else ""
