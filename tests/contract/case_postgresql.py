"""PostgreSQL, a private server of it, for the contract suite."""

from decimal import Decimal

from engine_case import COMMON_ACCEPTED, COMMON_REFUSED, EngineCase

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Reason
from queryengine.engines.databases import SQLAlchemyEngine
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.server import shared

POSTGRESQL = EngineCase(
    name="postgresql",
    adapter=SQLAlchemyEngine,
    options=lambda _: shared(PostgreSQLServer).options(),
    numbers=lambda n: f"SELECT n FROM generate_series(0::bigint, {n - 1}) AS s (n) ORDER BY n",
    wide=lambda rows, size: f"SELECT repeat('x', {size}) AS s FROM generate_series(1, {rows})",
    endless_start="SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
    endless_rows="SELECT a.n FROM generate_series(1, 1000000) AS a (n), generate_series(1, 1000000) AS b (n)",
    fails_late=(
        "SELECT (CASE WHEN n = 1900000 THEN 'x' ELSE '1' END)::integer AS n FROM generate_series(1, 2000000) AS s (n)"
    ),
    late_reason=Reason.STATEMENT_REJECTED,
    syntax_error="SELECT 1,\n  'é' FROM WHERE",
    rejected="SELECT 'é',\n  nope FROM t",
    rejected_words="nope",
    rejected_position=(2, 3),
    check_parses=False,
    refused=(
        *COMMON_REFUSED,
        ("SET work_mem = '1GB'", Reason.STATEMENT_NOT_ALLOWED),
        ("COPY t TO '/tmp/x'", Reason.STATEMENT_NOT_ALLOWED),
        ("COPY t TO PROGRAM 'id'", Reason.STATEMENT_NOT_ALLOWED),
        ("CALL x()", Reason.STATEMENT_NOT_ALLOWED),
        ("DO $$ BEGIN END $$", Reason.STATEMENT_NOT_ALLOWED),
        ("LISTEN x", Reason.STATEMENT_NOT_ALLOWED),
        ("PREPARE x AS SELECT 1", Reason.STATEMENT_NOT_ALLOWED),
        ("EXPLAIN ANALYZE DELETE FROM t", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT 1 FOR UPDATE", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT 1 INTO x", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT :a, $1", Reason.PARAMETER_MISMATCH),
    ),
    accepted=(
        *COMMON_ACCEPTED,
        "SELECT DISTINCT ON (a) a, s::varchar(3), '{1,2}'::int[] FROM t",
        "SELECT * FROM t, LATERAL generate_series(1, t.a) AS g (n)",
        "SELECT count(*) FILTER (WHERE a > 1) OVER (PARTITION BY s) FROM t",
    ),
    named=lambda names: "SELECT " + ", ".join(f':{name} AS "{name}"' for name in names),
    positional=lambda count: "SELECT " + ", ".join(f"${number}" for number in range(1, count + 1)),
    values=(None, True, 0, -(2**63), 2**63 - 1, 1.5, Decimal("1.50"), b"", b"\x00\xff", [1, 2]),
    refused_value=BoundParameter("a", "no \0 in text"),
    repeats_names='SELECT 1 AS a, 2 AS a, 3 AS "ü ""x"',
    no_columns=("SELECT", "SELECT FROM generate_series(1, 3)"),
    unusable=lambda _: {"url": "postgresql+psycopg://nobody@127.0.0.1:1/none"},
    unusable_words="refused",
    running=lambda: shared(PostgreSQLServer).running(),
)
