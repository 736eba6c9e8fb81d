"""What is refused is gone at once: no cycle of objects keeps a request until Python collects it."""

import gc
from pathlib import Path
from typing import Any

import pytest

from queryengine.accepting.submit_call import SubmitCall
from queryengine.domain.submission import Submission
from tests.support import RUNNING, Gate, new_id, refused, served, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARK = "x" * 50_000


def held() -> list[Any]:
    """The requests with the mark that are in memory."""
    held = [each for each in gc.get_objects() if isinstance(each, Submission) and MARK in each.sql]
    return held + [each for each in gc.get_objects() if isinstance(each, SubmitCall) and MARK in each.submission.sql]


@pytest.mark.parametrize("kind", ["full queue", "checked", "known id"])
async def test_a_refused_submit_leaves_nothing_in_memory(tmp_path: Path, gate: Gate, kind: str) -> None:
    engines = {"scripted": {"type": "scripted", "workers": 1}}
    async with served(tmp_path, engines=engines, limits={"tenant_queued": 1}) as (_, api):
        query_id = (await api.script(f"{gate.script}; rows 1")).status.query_id
        await api.reached(query_id, RUNNING)
        if kind == "full queue":
            await api.script("rows 1")
        text, reason = f"rows 1 -- {MARK}", "TENANT_QUEUE_FULL"
        if kind == "checked":
            text, reason = f"nothing {MARK}", "SYNTAX_ERROR"
        given = query_id if kind == "known id" else ""
        reason = "QUERY_ID_REUSED" if given else reason
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                # Each with an id of its own, or the one that another request has.
                refusal = await refused(api.script(text, query_id=given or new_id()))
                assert refusal.reason == reason
            await until(lambda: not held(), seconds=5)
        finally:
            gc.enable()
        gate.open()
