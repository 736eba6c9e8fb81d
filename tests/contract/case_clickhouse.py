"""ClickHouse, as the contract suite sees it."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from engine_case import COMMON_ACCEPTED, COMMON_REFUSED, EngineCase

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Reason
from queryengine.engines.clickhouse.engine import ClickHouseEngine
from tests.servers.clickhouse import ClickHouseServer
from tests.servers.server import shared

VALUES: Final = (
    ("Nullable(String)", None),
    ("Bool", True),
    ("Int32", 0),
    ("Int64", -(2**63)),
    ("Int64", 2**63 - 1),
    ("Float64", 1.5),
    ("Decimal(3, 2)", Decimal("1.50")),
    ("FixedString(2)", b"\x00\xff"),
    ("Array(Int64)", [1, 2]),
    ("Tuple(a Int64)", {"a": 1}),
)
"""With the types that a placeholder names."""
TYPES: Final = {f"p{number}": kind for number, (kind, _) in enumerate(VALUES)}


def _options(_: Path) -> dict[str, Any]:
    return shared(ClickHouseServer).options()


def _running() -> int:
    server = shared(ClickHouseServer)
    assert isinstance(server, ClickHouseServer)
    return server.running()


def _named(names: Sequence[str]) -> str:
    return "SELECT " + ", ".join(f"{{{name}:{TYPES.get(name, 'String')}}} AS {name}" for name in names)


CLICKHOUSE = EngineCase(
    name="clickhouse",
    adapter=ClickHouseEngine,
    options=_options,
    numbers=lambda n: f"SELECT toInt64(number) AS n FROM numbers({n}) ORDER BY n",
    wide=lambda rows, size: f"SELECT repeat('x', {size}) AS s FROM numbers({rows})",
    endless_start="SELECT count() FROM numbers(1000000000000000) WHERE NOT ignore(number)",
    endless_rows="SELECT toInt64(number) AS n FROM numbers(1000000000000)",
    fails_late="SELECT throwIf(number = 2000000, 'late') AS n FROM numbers(3000000)",
    late_reason=Reason.STATEMENT_REJECTED,
    syntax_error="SELECT 1,\n  'é' ORDER 5",
    rejected="SELECT 'é',\n  nope FROM t",
    rejected_words="nope",
    rejected_position=None,
    check_parses=False,
    refused=(
        *COMMON_REFUSED,
        ("SET max_threads = 1", Reason.STATEMENT_NOT_ALLOWED),
        ("USE system", Reason.STATEMENT_NOT_ALLOWED),
        ("SYSTEM SHUTDOWN", Reason.STATEMENT_NOT_ALLOWED),
        ("OPTIMIZE TABLE t", Reason.STATEMENT_NOT_ALLOWED),
        ("TRUNCATE TABLE t", Reason.STATEMENT_NOT_ALLOWED),
        ("RENAME TABLE t TO u", Reason.STATEMENT_NOT_ALLOWED),
        ("GRANT ALL ON *.* TO reader", Reason.STATEMENT_NOT_ALLOWED),
        ("EXPLAIN SELECT 1", Reason.STATEMENT_NOT_ALLOWED),
        ("SHOW TABLES", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT 1 SETTINGS max_execution_time = 0", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT * FROM (SELECT 1 SETTINGS readonly = 0)", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT 1 UNION ALL SELECT 2 SETTINGS max_threads = 9", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT 1 FORMAT JSON", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT 1 INTO OUTFILE 'x'", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT 1) UNION ALL (SELECT 2", Reason.SYNTAX_ERROR),
        ("SELECT {a:String}, ?", Reason.PARAMETER_MISMATCH),
    ),
    accepted=(
        *COMMON_ACCEPTED,
        "SELECT a, count() FROM t FINAL PREWHERE a > 1 GROUP BY a WITH TOTALS LIMIT 1 BY a",
        "SELECT arrayMap(x -> x + 1, [1, 2]), a ? 1 : 2 FROM t",
        "FROM t SELECT a",
        "SELECT {a:Array(Nullable(String))}",
    ),
    named=_named,
    positional=lambda count: "SELECT " + ", ".join(["?"] * count),
    values=tuple(value for _, value in VALUES),
    refused_value=BoundParameter("a", pa.MonthDayNano([1, 2, 3])),
    repeats_names='SELECT 1 AS a, 1 AS a, 3 AS "ü ""x"',
    unusable=lambda _: {"url": "http://127.0.0.1:1/none.db"},
    unusable_words="127.0.0.1:1",
    running=_running,
)
