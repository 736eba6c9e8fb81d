"""The clerk process: ready means that a check needs no more than the text's own time."""

import asyncio

import psutil
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.workers.clerk import Clerk
from tests.support import until

SQLITE = {"type": "sqlalchemy", "options": {"url": "sqlite:////data/x.db"}}
WRONG = {"type": "sqlalchemy", "options": {"url": "no url"}}


async def test_an_engine_is_loaded_when_the_process_is_ready() -> None:
    clerk = Clerk({"main": {"type": "duckdb", "options": {}}, "wrong": WRONG, "lite": SQLITE})
    try:
        await clerk.start()
        assert clerk._process is not None
        loaded = {each.path for each in psutil.Process(clerk._process.pid).memory_maps()}
        assert any("_duckdb" in path for path in loaded)
    finally:
        await clerk.close()


async def test_an_engine_with_a_wrong_option_leaves_the_others_checked() -> None:
    clerk = Clerk({"wrong": WRONG, "lite": SQLITE})
    try:
        await clerk.check("lite", "SELECT 1", timeout_seconds=60)
        with pytest.raises(QueryEngineError) as refusal:
            await clerk.traits("wrong")
        assert refusal.value.failure.reason is Reason.INVALID_FIELD
    finally:
        await clerk.close()


async def test_a_process_whose_caller_leaves_at_its_start_is_ended() -> None:
    before = set(psutil.Process().children())
    clerk = Clerk({"main": {"type": "duckdb", "options": {}}})
    starting = asyncio.create_task(clerk.start())
    await until(lambda: set(psutil.Process().children()) - before)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert set(psutil.Process().children()) == before
