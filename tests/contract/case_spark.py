"""Spark, through a real Spark Connect server."""

import json
from decimal import Decimal
from urllib.request import urlopen

import pyarrow as pa
from engine_case import COMMON_ACCEPTED, COMMON_REFUSED, EngineCase

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Reason
from queryengine.engines.spark.engine import SparkEngine
from tests.servers.server import shared
from tests.servers.spark import SparkServer


def running_tasks(web_port: int) -> int:
    """How many tasks Spark's own list says are being computed."""
    root = f"http://127.0.0.1:{web_port}/api/v1/applications"
    with urlopen(root, timeout=60) as response:
        application = json.load(response)[0]["id"]
    with urlopen(f"{root}/{application}/executors", timeout=60) as response:
        return sum(executor["activeTasks"] for executor in json.load(response))


# A task is one row, and tens of milliseconds of work: rows come for minutes, and never many at a time.
SLOW_ROWS = (
    "SELECT id AS n FROM range(0, 20000, 1, 20000) "
    "WHERE aggregate(sequence(0, 300000), 0L, (a, x) -> a + x + id % 7) >= 0"
)

SPARK = EngineCase(
    name="spark",
    adapter=SparkEngine,
    options=lambda _: shared(SparkServer).options(),
    numbers=lambda n: f"SELECT id AS n FROM range({n}) ORDER BY id",
    wide=lambda rows, size: f"SELECT repeat('x', {size}) AS s FROM range(0, {rows}, 1, {max(2, rows // 10_000)})",
    # One stage: Spark may start a further one after a cancel, see docs/engines.md.
    endless_start="SELECT id AS n FROM range(1000000000000000) WHERE id % 7 = 8",
    endless_rows=SLOW_ROWS,
    fails_late=("SELECT CAST(CASE WHEN id = 190000 THEN 'x' ELSE '1' END AS INT) AS n FROM range(0, 200000, 1, 20)"),
    late_reason=Reason.STATEMENT_REJECTED,
    check_parses=False,
    syntax_error="SELECT 1,\n  'é' FROM range(3) WHERE id >< 1",
    rejected="SELECT 'é',\n  nope FROM range(3)",
    rejected_words="nope",
    rejected_position=(2, 3),
    refused=(
        *COMMON_REFUSED,
        ("SELECT reflect('java.lang.System', 'getenv', 'HOME')", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT `java_method` ('java.lang.System', 'getenv', 'HOME')", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT try_reflect /* x */ ('java.lang.System', 'getenv', 'HOME')", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT system.builtin.REFLECT('java.lang.System', 'getenv', 'HOME')", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT IDENTIFIER('ref' || 'lect')('java.lang.System', 'getenv', 'HOME')", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT * FROM IDENTIFIER('text.`/etc/passwd`')", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT * FROM text.`/etc/passwd`", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT * FROM range(3) JOIN `binaryFile`.`/etc/passwd`", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT * FROM a JOIN hdfs://host/x", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT from_xml(x, 'a int', map('rowValidation' || 'XSDPath', '/etc/passwd'))", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT schema_of_xml('<a/>', map('rowValidationXSDPath', 'http://x/'))", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT from_avro(x, '\"int\"', map('avroSchemaUrl', 'file:///etc/passwd'))", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT from_protobuf(x, 'M', '/etc/passwd')", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT * FROM python_worker_logs()", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT TRANSFORM(id) USING 'cat' AS (x) FROM range(3)", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT * FROM (MAP id USING 'cat' FROM range(3))", Reason.STATEMENT_NOT_ALLOWED),
        ('FROM range(3) REDUCE id USING r"cat"', Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT TRANSFORM(id) USING :script FROM range(3)", Reason.STATEMENT_NOT_ALLOWED),
        ("MAP id USING 'cat' FROM range(3)", Reason.SYNTAX_ERROR),
        ("SELECT 1) x JOIN (SELECT 2", Reason.SYNTAX_ERROR),
        ("SET spark.sql.runSQLOnFiles = true", Reason.STATEMENT_NOT_ALLOWED),
        ("ADD JAR '/tmp/x.jar'", Reason.STATEMENT_NOT_ALLOWED),
        ("USE default", Reason.STATEMENT_NOT_ALLOWED),
        ("CACHE TABLE t", Reason.STATEMENT_NOT_ALLOWED),
        ("REFRESH TABLE t", Reason.STATEMENT_NOT_ALLOWED),
        ("CREATE TEMPORARY VIEW v USING text OPTIONS (path '/etc/passwd')", Reason.STATEMENT_NOT_ALLOWED),
        ("EXPLAIN SELECT 1", Reason.STATEMENT_NOT_ALLOWED),
        ("SHOW TABLES", Reason.STATEMENT_NOT_ALLOWED),
        ("DESCRIBE t", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, Reason.STATEMENT_TOO_COMPLEX),
        ("SELECT " + "CASE WHEN a THEN " * 300 + "1" + " END" * 300, Reason.STATEMENT_TOO_COMPLEX),
        ("SELECT :a, ?", Reason.PARAMETER_MISMATCH),
    ),
    accepted=(
        *COMMON_ACCEPTED,
        "SELECT reflect, identifier FROM t",
        "SELECT 'reflect(x)'",
        "SELECT * FROM a JOIN b USING (id)",
        "TABLE t",
        "TABLE a.b.c ORDER BY 1",
        "WITH x AS (SELECT 1) TABLE x",
        "SELECT 1 |> LIMIT 1",
        "VALUES (1) |> LIMIT 1",
        "FROM t |> SET a = 1 |> DROP b |> EXTEND 1 AS c |> AGGREGATE count(*) GROUP BY c",
        "SELECT v:a.b::int, v:a[0].c FROM t",
        "SELECT from_xml(x, 'a int') FROM t",
        "SELECT `a/b`, t.`a/b` FROM t",
        "SELECT " + "(" * 150 + "1" + ")" * 150,
        "SELECT /*+ BROADCAST(t) */ * FROM t LATERAL VIEW explode(x) y AS z",
    ),
    named=lambda names: "SELECT " + ", ".join(f":{name} AS `{name}`" for name in names),
    positional=lambda count: "SELECT " + ", ".join(["?"] * count),
    values=(None, True, 0, -(2**63), 2**63 - 1, 1.5, Decimal("1.50"), b"", b"\x00\xff", [1, 2], {"a": 1}),
    refused_value=BoundParameter("a", Decimal(10**50), pa.decimal256(60, 0)),
    repeats_names='SELECT 1 AS a, 2 AS a, 3 AS `ü "x`',
    no_columns=("SELECT * EXCEPT (a) FROM VALUES (1) AS t (a)",),
    unusable=lambda _: {"url": "sc://127.0.0.1:1", "connect_timeout_seconds": 1.0},
    unusable_words="127.0.0.1:1",
    running=lambda: running_tasks(shared(SparkServer).web_port),
)
