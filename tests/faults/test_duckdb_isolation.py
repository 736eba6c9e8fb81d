"""Two tenants send hostile statements in turn to one DuckDB worker: nothing of one is visible to the other.

    QE_FUZZ=10000 pytest -s tests/faults/test_duckdb_isolation.py

QE_FUZZ_SEED chooses other statements.
"""

import os
import sys
from collections import Counter
from datetime import timedelta
from itertools import islice
from pathlib import Path

import duckdb
import grpc
import pytest

from tests.faults.hostile_duckdb import Hostile
from tests.server_process import server_process
from tests.support import COMPLETED, ROWS, WAIT, Api

STATEMENTS = int(os.environ.get("QE_FUZZ", "200"))
SEED = int(os.environ.get("QE_FUZZ_SEED", "20261128"))
PROBE_EVERY = 20
MARKS = ("canary-of-alpha-", "canary-of-beta-")
SHOWN = (
    "SELECT (SELECT count(*) FROM duckdb_tables()), (SELECT count(*) FROM duckdb_views() WHERE NOT internal), "
    "(SELECT count(*) FROM duckdb_types() WHERE NOT internal), (SELECT count(*) FROM duckdb_sequences()), "
    "(SELECT count(*) FROM duckdb_databases()), (SELECT count(*) FROM duckdb_functions() WHERE NOT internal), "
    "hour(TIMESTAMPTZ '2000-01-01 00:00:00+00'), [x FOR x IN (SELECT list(range ORDER BY range) FROM range(2))]"
)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(60 + STATEMENTS // 2)
async def test_nothing_of_one_tenant_is_visible_to_another(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    with server_process(tmp_path, engines={"duckdb": {"type": "duckdb", "workers": 1}}) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            tenants = [Api(channel, name) for name in ("alpha", "beta")]
            probes = [Probe(tenant) for tenant in tenants]
            statements = islice(Hostile(SEED).statements(MARKS), STATEMENTS)
            for number, (turn, sql) in enumerate(statements):
                outcome, answer = await answered(tenants[turn], sql)
                outcomes[outcome] += 1
                assert MARKS[1 - turn].encode() not in answer, (number, sql)
                if outcome in ("WORKER_LOST", "INTERNAL_ERROR"):
                    sys.stdout.write(f"\n{outcome}: {sql}\n")
                if number % PROBE_EVERY < len(probes):
                    await probes[1 - turn].look(MARKS[turn])
        log = server.errors
    for mark in MARKS:
        assert mark not in log
    assert outcomes["COMPLETED"] > STATEMENTS // 10
    assert outcomes["STATEMENT_NOT_ALLOWED"] > STATEMENTS // 10
    sys.stdout.write(f"\n{STATEMENTS} statements of seed {SEED}: {dict(outcomes.most_common())}\n")


def test_the_same_seed_makes_the_same_statements() -> None:
    first, again, other = (list(islice(Hostile(seed).statements(MARKS), 100)) for seed in (1, 1, 2))
    assert first == again != other


async def answered(tenant: Api, sql: str) -> tuple[str, bytes]:
    """What became of a statement, and all that its sender was shown."""
    limits = {"execution_timeout": timedelta(seconds=5)}
    try:
        reply = await tenant.submit(sql, wait_timeout=WAIT, limits=limits, result={"inline_format": ROWS})
    except grpc.aio.AioRpcError as refusal:
        trailers = b"".join(str(value).encode() for _, value in refusal.trailing_metadata() or ())
        reason = next((word for word in REASONS if word.encode() in trailers), refusal.code().name)
        return reason, (refusal.details() or "").encode() + trailers
    return reply.status.error.reason or "COMPLETED", reply.SerializeToString()


REASONS = ("STATEMENT_NOT_ALLOWED", "SYNTAX_ERROR", "NOT_ONE_STATEMENT", "STATEMENT_TOO_COMPLEX")


class Probe:
    """What a tenant sees that may tell of another: what sessions and instances show, and random numbers."""

    def __init__(self, tenant: Api) -> None:
        self._tenant = tenant
        self._shown: list[bytes] = []
        self._drawn: set[bytes] = set()
        with duckdb.connect(":memory:") as connection:
            # What comes after setseed(0.5), which statements try to call.
            drawn = connection.execute("SELECT setseed(0.5)").execute("SELECT random(), uuid()::VARCHAR").fetchone()
        assert drawn is not None
        self._seeded = str(drawn[1]).encode()

    async def look(self, mark: str) -> None:
        reply = await self._tenant.submit(SHOWN, wait_timeout=WAIT, result={"inline_format": ROWS})
        assert reply.status.state == COMPLETED, reply.status.error
        self._shown.append(b"".join(page.SerializeToString() for page in reply.pages))
        assert self._shown[-1] == self._shown[0]
        assert mark.encode() not in reply.SerializeToString()
        sql = "SELECT random() AS r, uuid()::VARCHAR AS u"
        reply = await self._tenant.submit(sql, wait_timeout=WAIT, result={"inline_format": ROWS})
        rows = b"".join(page.SerializeToString() for page in reply.pages)
        assert rows not in self._drawn
        assert self._seeded not in rows
        self._drawn.add(rows)
