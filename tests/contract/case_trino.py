"""Trino as the contract suite knows it, on the server that the tests share."""

from decimal import Decimal
from typing import cast

import pyarrow as pa
from engine_case import COMMON_ACCEPTED, COMMON_REFUSED, EngineCase

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Reason
from queryengine.engines.trino.engine import TrinoEngine
from tests.servers.server import free_port, shared
from tests.servers.trino import TrinoServer

MANY = "TABLE(sequence(1, 1000000))"


def numbers(count: int) -> str:
    return (
        f"SELECT sequential_number AS n FROM TABLE(sequence(0, {max(count, 1)})) "
        f"WHERE sequential_number < {count} ORDER BY 1"
    )


def running() -> int:
    return cast("TrinoServer", shared(TrinoServer)).running()


TRINO = EngineCase(
    name="trino",
    adapter=TrinoEngine,
    options=lambda _: shared(TrinoServer).options(),
    numbers=numbers,
    wide=lambda rows, size: f"SELECT rpad('x', {size}, 'x') AS s FROM TABLE(sequence(1, {rows}))",
    endless_start=(
        f"SELECT count(*) AS n FROM {MANY} a CROSS JOIN {MANY} b "
        "WHERE (a.sequential_number * b.sequential_number) % 7 = 8"
    ),
    endless_rows=f"SELECT a.sequential_number AS n FROM {MANY} a CROSS JOIN {MANY} b",
    # Trino drops what lies in its buffers when a query fails, so there must be more rows than they hold.
    fails_late=(
        "SELECT rpad('x', 1000, 'x') || CAST(1 / (200000 - sequential_number) AS varchar) AS s "
        "FROM TABLE(sequence(0, 300000))"
    ),
    late_reason=Reason.STATEMENT_REJECTED,
    syntax_error="SELECT 1,\n  'é' FROM WHERE",
    rejected="SELECT 'é',\n  nope FROM nation",
    rejected_words="nope",
    rejected_position=(2, 3),
    check_parses=False,
    refused=(
        *COMMON_REFUSED,
        ("SET SESSION query_max_run_time = '1h'", Reason.STATEMENT_NOT_ALLOWED),
        ("USE tpch.sf1", Reason.STATEMENT_NOT_ALLOWED),
        ("CALL system.runtime.kill_query('x', 'y')", Reason.STATEMENT_NOT_ALLOWED),
        ("PREPARE x FROM SELECT 1", Reason.STATEMENT_NOT_ALLOWED),
        ("EXECUTE IMMEDIATE 'SELECT 1'", Reason.STATEMENT_NOT_ALLOWED),
        ("EXPLAIN ANALYZE INSERT INTO t VALUES (1)", Reason.STATEMENT_NOT_ALLOWED),
        ("MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", Reason.STATEMENT_NOT_ALLOWED),
        ("GRANT SELECT ON t TO u", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT :a, ?", Reason.PARAMETER_MISMATCH),
    ),
    accepted=(*COMMON_ACCEPTED, "TABLE nation", "SELECT * FROM TABLE(sequence(1, 2))", "SELECT ARRAY[1, 2], MAP()"),
    named=lambda names: "SELECT " + ", ".join(f':{name} AS "{name}"' for name in names),
    positional=lambda count: "SELECT " + ", ".join(["?"] * count),
    values=(None, True, 0, -(2**63), 2**63 - 1, 1.5, Decimal("1.50"), b"", b"\x00\xff", [1, 2], {"a": 1}),
    refused_value=BoundParameter("a", Decimal(10**50), pa.decimal256(60, 0)),
    repeats_names='SELECT 1 AS a, 2 AS a, 3 AS "ü ""x"',
    unusable=lambda _: {"url": f"http://127.0.0.1:{free_port()}"},
    unusable_words="refused",
    running=running,
)
