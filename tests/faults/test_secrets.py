"""A password of one engine is in no process but the server and the workers of that engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from queryengine.app.service import Service
from queryengine.engines.kit.checking import options_of_check
from queryengine.settings import Settings
from queryengine.workers.sandboxes import Sandboxes
from tests.process_memory import memory_holds
from tests.support import COMPLETED, LOOPBACK, WAIT, Api, until

PASSWORD = "canary-password-7c1f"


@asynccontextmanager
async def started(folder: Path, engines: dict[str, Any]) -> AsyncIterator[tuple[Service, Api]]:
    """A service of which DuckDB alone can be used; the servers of the others do not answer."""
    service = Service(Settings(server=LOOPBACK, engines=engines, state={"directory": folder}))
    await service.start()
    try:
        await until(lambda: service.pool.load("duckdb").worker_pids)
        async with grpc.aio.insecure_channel(service.address) as channel:
            yield service, Api(channel, "tenant")
    finally:
        await service.stop(0)


@pytest.mark.asyncio(loop_scope="session")
async def test_a_password_is_in_the_memory_of_its_own_workers_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spawned_templates: None
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    pg = {"url": f"postgresql://reader:{PASSWORD}@127.0.0.1:1/db"}
    trino = {"url": "https://127.0.0.1:1", "user": "reader", "password": PASSWORD}
    engines = {
        "duckdb": {"type": "duckdb", "workers": 1},
        "pg": {"type": "sqlalchemy", "workers": 1, "options": pg},
        "trino": {"type": "trino", "workers": 1, "options": trino},
    }
    async with started(tmp_path / "state", engines) as (service, api):
        sandboxes: Sandboxes = service.parts.sandboxes
        await sandboxes.quick_checks.start(sandboxes.quick_checks.size)
        await sandboxes.thorough_checks.start(1)
        assert (await api.submit("SELECT 1 AS a", wait_timeout=WAIT)).status.state == COMPLETED
        others = [*sandboxes.quick_checks.pids, *sandboxes.thorough_checks.pids, *sandboxes.cuts.pids]
        others += service.pool.load("duckdb").worker_pids
        others.append(psutil.Process(others[0]).ppid())
        assert len(others) >= 5
        assert not sandboxes.inspections.pids
        for pid in others:
            assert not memory_holds(pid, PASSWORD.encode()), psutil.Process(pid).cmdline()
            assert memory_holds(pid, b"queryengine.workers")


@pytest.mark.parametrize(
    ("engine_type", "options", "expected"),
    [
        (
            "duckdb",
            {"path": "/x.db", "init_sql": ["CREATE SECRET"], "allow_functions": ["a"]},
            {"allow_functions": ["a"]},
        ),
        ("duckdb", {"allow_functions": 3}, {}),
        ("duckdb", {"allow_functions": [3]}, {}),
        ("sqlalchemy", {"url": "postgresql://u:p/@:w@h/d?x=y", "connect_args": {}}, {"url": "postgresql:///checked"}),
        ("sqlalchemy", {"url": "sqlite:////data/x.db"}, {"url": "sqlite:///checked"}),
        ("sqlalchemy", {"url": "no url"}, {}),
        ("sqlalchemy", {}, {}),
        ("trino", {"url": "http://h", "password": "p"}, {}),
        ("clickhouse", {"url": "http://u:p@h"}, {}),
        ("spark", {"url": "sc://h/;token=t"}, {}),
    ],
)
def test_a_check_is_given_no_secret(engine_type: str, options: dict[str, object], expected: dict[str, object]) -> None:
    assert options_of_check(engine_type, options) == expected
