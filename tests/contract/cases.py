"""The engines that the contract suite runs over. A new engine is one more record here; nothing else
changes.
"""

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from case_clickhouse import CLICKHOUSE
from case_generic import GENERIC
from case_postgresql import POSTGRESQL
from case_spark import SPARK
from case_trino import TRINO
from engine_case import COMMON_ACCEPTED, COMMON_REFUSED, EngineCase
from queryengine_scripted import ScriptedEngine

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Reason
from queryengine.engines.databases import SQLAlchemyEngine
from queryengine.engines.duckdb.engine import DuckDBEngine


def _sqlite_options(directory: Path) -> dict[str, Any]:
    path = directory / "data.db"
    if not path.exists():
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE t (a INTEGER, s TEXT)")
        connection.close()
    return {"url": f"sqlite:///{path}"}


DUCKDB = EngineCase(
    name="duckdb",
    adapter=DuckDBEngine,
    options=lambda _: {"init_sql": ["CREATE TABLE t (a INTEGER, s VARCHAR)"]},
    numbers=lambda n: f"SELECT range AS n FROM range({n}) ORDER BY n",
    wide=lambda rows, size: f"SELECT repeat('x', {size}) AS s FROM range({rows})",
    endless_start="SELECT count(*) FROM range(1000000) a, range(1000000) b",
    endless_rows="SELECT a.range AS n FROM range(1000000) a, range(1000000) b",
    fails_late="SELECT (CASE WHEN range = 19000000 THEN 'x' ELSE '1' END)::INTEGER AS n FROM range(20000000)",
    late_reason=Reason.STATEMENT_REJECTED,
    syntax_error="SELECT 1,\n  'é' FROM WHERE",
    rejected="SELECT 'é',\n  nope FROM t",
    rejected_words="nope",
    rejected_position=(2, 3),
    refused=(
        *COMMON_REFUSED,
        ("SET threads = 1", Reason.STATEMENT_NOT_ALLOWED),
        ("USE memory", Reason.STATEMENT_NOT_ALLOWED),
        ("COPY t TO 'x'", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, Reason.STATEMENT_TOO_COMPLEX),
        ("EXPORT DATABASE 'x'", Reason.STATEMENT_NOT_ALLOWED),
        ("LOAD json", Reason.STATEMENT_NOT_ALLOWED),
        ("CALL pragma_version()", Reason.STATEMENT_NOT_ALLOWED),
        ("PREPARE x AS SELECT 1", Reason.STATEMENT_NOT_ALLOWED),
        ("EXPLAIN ANALYZE INSERT INTO t VALUES (1)", Reason.STATEMENT_NOT_ALLOWED),
        ("EXPLAIN CREATE TABLE x AS SELECT 1", Reason.STATEMENT_NOT_ALLOWED),
        ("CREATE TABLE x AS PIVOT t ON a", Reason.STATEMENT_NOT_ALLOWED),
        ("EXPLAIN /* ( */ ANALYZE DELETE FROM t", Reason.STATEMENT_NOT_ALLOWED),
    ),
    accepted=(
        *COMMON_ACCEPTED,
        "FROM t",
        "DESCRIBE t",
        "SUMMARIZE t",
        "SHOW TABLES",
        "EXPLAIN SELECT 1",
        "/* x */ EXPLAIN ANALYZE SELECT 1",
        "EXPLAIN (FORMAT json) SELECT 1",
        "PIVOT t ON a",
        "PIVOT t ON a IN (1, 2)",
        "FROM (PIVOT t ON s)",
    ),
    named=lambda names: "SELECT " + ", ".join(f'${name} AS "{name}"' for name in names),
    positional=lambda count: "SELECT " + ", ".join(["?"] * count),
    values=(None, True, 0, -(2**63), 2**63 - 1, 1.5, Decimal("1.50"), b"", b"\x00\xff", [1, 2], {"a": 1}),
    refused_value=BoundParameter("a", Decimal(10**50), pa.decimal256(60, 0)),
    repeats_names='SELECT 1 AS a, 2 AS a, 3 AS "ü ""x"',
    unusable=lambda path: {"path": str(path / "none.db")},
    unusable_words="none.db",
)

SQLITE = EngineCase(
    name="sqlite",
    adapter=SQLAlchemyEngine,
    options=_sqlite_options,
    numbers=lambda n: (
        f"WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 10000000) SELECT n FROM c LIMIT {n}"
    ),
    wide=lambda rows, size: (
        "WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c) "
        f"SELECT replace(hex(zeroblob({size // 2})), '0', 'x') AS s FROM c LIMIT {rows}"
    ),
    endless_start="WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
    endless_rows="WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c",
    fails_late=(
        "WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 10000) "
        "SELECT CASE WHEN n = 9000 THEN 'x' ELSE n END AS n FROM c"
    ),
    late_reason=Reason.STATEMENT_REJECTED,
    syntax_error="SELECT 1,\n  'é' FROM WHERE",
    rejected="SELECT 'é',\n  nope FROM t",
    rejected_words="nope",
    rejected_position=None,
    check_parses=False,
    refused=(
        *COMMON_REFUSED,
        ("REPLACE INTO t VALUES (1)", Reason.STATEMENT_NOT_ALLOWED),
        ("VACUUM INTO 'x'", Reason.STATEMENT_NOT_ALLOWED),
        ("EXPLAIN SELECT 1", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, Reason.STATEMENT_TOO_COMPLEX),
        ("SELECT :a, ?", Reason.PARAMETER_MISMATCH),
    ),
    accepted=COMMON_ACCEPTED,
    named=lambda names: "SELECT " + ", ".join(f':{name} AS "{name}"' for name in names),
    positional=lambda count: "SELECT " + ", ".join(["?"] * count),
    values=(None, 0, -(2**63), 2**63 - 1, 1.5, b"", b"\x00\xff"),
    refused_value=BoundParameter("a", Decimal("1.10")),
    repeats_names='SELECT 1 AS a, 2 AS a, 3 AS "ü ""x"',
    unusable=lambda path: {"url": f"sqlite:///{path / 'none.db'}"},
    unusable_words="unable to open",
)

SCRIPTED = EngineCase(
    name="scripted",
    adapter=ScriptedEngine,
    options=lambda _: {},
    numbers=lambda n: f"rows {n}",
    wide=lambda rows, size: f"columns s:string; rows {rows} size {size}",
    endless_start="spin; start; rows 1",
    endless_rows="endless",
    fails_late="rows 10000; fail ENGINE_ERROR late",
    late_reason=Reason.ENGINE_ERROR,
    syntax_error="rows 1\n  frobnicate",
    rejected="fail STATEMENT_REJECTED no such table; start; rows 1",
    rejected_words="no such table",
    rejected_position=None,
    refused=(
        ("", Reason.NOT_ONE_STATEMENT),
        (" ; \n", Reason.NOT_ONE_STATEMENT),
        ("frobnicate", Reason.SYNTAX_ERROR),
        ("rows many", Reason.SYNTAX_ERROR),
        ("fail NO_SUCH_REASON", Reason.SYNTAX_ERROR),
        ("columns n:int65; rows 1", Reason.SYNTAX_ERROR),
        ("write; rows 1", Reason.STATEMENT_NOT_ALLOWED),
    ),
    accepted=("rows 1", "columns a:int64, b:string\nrows 2 size 10\n", "wait 1; start; endless"),
    named=lambda _: "echo",
    positional=lambda _: "echo",
    values=(None, True, 0, -(2**63), 2**63 - 1, 1.5, Decimal("1.50"), b"", b"\x00\xff", [1, 2], {"a": 1}),
    refused_value=BoundParameter("a", "text", pa.int64()),
    repeats_names='columns a:int64, a:int64, ü "x:int64; rows 1',
    unusable=lambda _: {"unavailable": "no such file none.db"},
    unusable_words="none.db",
)

CASES = (DUCKDB, SQLITE, SCRIPTED, CLICKHOUSE, GENERIC, POSTGRESQL, SPARK, TRINO)
