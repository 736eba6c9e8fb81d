"""Rows that go while somebody reads them: the reader is told why they went, not that they were lost."""

from pathlib import Path

import pytest

from queryengine.v1 import query_pb2
from tests.support import COMPLETED, FAILED, WAIT, Api, Gate, Reading, refused, served

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEGMENTS = {"page_bytes": 64 << 10, "segment_bytes": 1 << 20}
ROWS_SCRIPT = "columns s:string; rows 40000 size 1000"
"""More than gRPC holds for a reader that does not read, in many files."""


async def behind(api: Api, query_id: str) -> Reading:
    """A stream of which one page was read."""
    reading = api.stream(query_id)
    await reading.to("page")
    return reading


async def test_a_reader_of_rows_that_are_released_is_told_so(tmp_path: Path) -> None:
    async with served(tmp_path, engines={"scripted": {"type": "scripted"}}, results=SEGMENTS) as (_, api):
        query_id = (await api.script(ROWS_SCRIPT, wait_timeout=WAIT)).status.query_id
        reading = await behind(api, query_id)
        await api.release(query_id)
        refusal = await refused(reading)
        assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "RESULT_RELEASED")
        assert (await api.status(query_id)).state == COMPLETED


async def test_a_reader_of_a_run_that_fails_is_told_its_failure(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    async with served(tmp_path, engines={"scripted": {"type": "scripted"}}, results=SEGMENTS) as (_, api):
        script = f"{ROWS_SCRIPT}; {gate.script}; fail ENGINE_ERROR out of cheese"
        query_id = (await api.script(script)).status.query_id
        reading = await behind(api, query_id)
        gate.open()
        assert (await api.ended(query_id)).state == FAILED
        refusal = await refused(reading)
        assert (refusal.code.name, refusal.reason, refusal.message) == ("INTERNAL", "ENGINE_ERROR", "out of cheese")
        assert (await api.status(query_id)).result_state == query_pb2.RESULT_STATE_NONE
