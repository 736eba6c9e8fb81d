"""Writes a state folder as this version leaves it, copied from under a running server, for later versions to take up.

    PYTHONPATH=tests/plugins python -m tests.older_state tests/data/state-of-schema-N.tar.gz

Run by the version whose schema is N; the archive is kept, and never written again.
"""

import asyncio
import shutil
import sys
import tarfile
import tempfile
from datetime import timedelta
from pathlib import Path

import grpc

from queryengine.results.spool.keys import tenant_hash
from queryengine.v1 import value_pb2
from tests.support import COMPLETED, FAILED, WAIT, Gate, refused, served, until

ENGINES = {"scripted": {"type": "scripted", "workers": 1}, "duckdb": {"type": "duckdb", "workers": 1}}
NAMES = (
    "pages",
    "large",
    "echo",
    "none",
    "duckdb",
    "failed",
    "cancelled",
    "released",
    "expired",
    "lost",
    "other",
    "running",
    "queued",
)
IDS = {name: f"00000000-0000-4000-8000-{number:012}" for number, name in enumerate(NAMES, 1)}
NOT_COPIED = ("queries.db-shm", "queries.db.lock", "queries.db.reserve")


def parameter(size: int) -> list[value_pb2.Parameter]:
    return [value_pb2.Parameter(name="text", value=value_pb2.Value(string_value="x" * size))]


async def write(folder: Path) -> None:
    """Fill a folder with queries in every state, with results and without, and copy it to `<folder>/copy`."""
    state = folder / "state"
    async with served(state, engines=ENGINES) as (service, api):
        gate = Gate(folder / "gate")
        script = f"columns n:int64, s:string; rows 200; {gate.script}; rows 200"
        await api.script(script, query_id=IDS["pages"], labels={"team": "growth", 'a"b': "ü\0"})
        await api.has_rows(IDS["pages"])
        gate.open()
        assert (await api.ended(IDS["pages"])).state == COMPLETED
        await api.script("columns s:string; rows 3000 size 1000", query_id=IDS["large"], wait_timeout=WAIT)
        await api.script("echo", query_id=IDS["echo"], parameters=parameter(30_000), wait_timeout=WAIT)
        await api.script("rows 0", query_id=IDS["none"], wait_timeout=WAIT)
        sql = "SELECT 'ü' AS s, range AS n FROM range(10) -- " + "long " * 2000
        await api.submit(sql, engine="duckdb", query_id=IDS["duckdb"], wait_timeout=WAIT)
        failed = await api.script("fail ENGINE_ERROR boom", query_id=IDS["failed"], wait_timeout=WAIT)
        assert failed.status.state == FAILED
        await api.script("endless", query_id=IDS["cancelled"])
        await api.has_rows(IDS["cancelled"])
        await api.cancel(IDS["cancelled"], reason="enough", wait_timeout=WAIT)
        await api.script("rows 3", query_id=IDS["released"], wait_timeout=WAIT)
        await api.release(IDS["released"])
        ttl = {"ttl": timedelta(seconds=1)}
        await api.script("rows 3", query_id=IDS["expired"], result=ttl, wait_timeout=WAIT)
        await api.script("rows 3", query_id=IDS["lost"], wait_timeout=WAIT)
        shutil.rmtree(state / "spool" / tenant_hash("tenant") / IDS["lost"])
        assert (await refused(api.stream(IDS["lost"]))).reason == "RESULT_LOST"
        async with grpc.aio.insecure_channel(service.address) as channel:
            other = type(api)(channel, "other")
            await other.script("rows 7", query_id=IDS["other"], wait_timeout=WAIT)
        await until(lambda: _is_expired(service))
        await api.script("rows 5; gate /nowhere", query_id=IDS["running"])
        await api.has_rows(IDS["running"])
        await api.script("echo", query_id=IDS["queued"], parameters=parameter(20_000), labels={"team": "growth"})
        assert await service.parts.state.store.healthy()
        shutil.copytree(state, folder / "copy", ignore=shutil.ignore_patterns(*NOT_COPIED))
        await api.cancel(IDS["running"])


async def _is_expired(service: object) -> bool:
    await service.parts.execution.sweeper.sweep()
    found = await service.parts.state.store.get("tenant", IDS["expired"])
    return found.result_state == "EXPIRED"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(write(folder))
        with tarfile.open(sys.argv[1], "w:gz") as archive:
            archive.add(folder / "copy", arcname=".")


if __name__ == "__main__":
    main()
