"""How often a watcher is sent a status: progress now and then, another state at once, and the last version always."""

import asyncio
from typing import Any

import pytest

from queryengine.domain.lifecycle import QueryState
from queryengine.live.query import LiveQuery
from queryengine.policy.limits.accounts import TenantLimits
from queryengine.reading import pace
from queryengine.reading.items import Changed
from queryengine.reading.open_streams import OpenStreams
from queryengine.reading.streaming import StreamLimits, Streams
from tests.store_values import query
from tests.support import until

CHANGES = 200


def running() -> LiveQuery:
    return LiveQuery(query(state=QueryState.RUNNING, attempt=1))


def streams() -> Streams:
    limits = StreamLimits(
        rotate_seconds=60, rotate_bytes=1 << 30, message_bytes_max=1 << 20, whole_page_streams=8, chunk_bytes=1 << 17
    )
    nothing: Any = None  # States need no pages.
    return Streams(
        cutting=nothing,
        indexes=nothing,
        schemas=nothing,
        disk=nothing,
        limits=limits,
        open_streams=OpenStreams(TenantLimits({})),
    )


async def watch(live: LiveQuery, sent: list[tuple[int, QueryState]]) -> None:
    async for item in streams().watch(live, 0, 60.0, still_valid=lambda: None):
        assert isinstance(item, Changed)
        sent.append((live.version, live.query.state))


async def test_progress_is_sent_now_and_then_and_the_last_version_always() -> None:
    live, sent = running(), []
    begin = asyncio.get_running_loop().time()
    watcher = asyncio.create_task(watch(live, sent))
    for rows in range(CHANGES):
        live.amend(rows=rows)
        await asyncio.sleep(0)
    await until(lambda: sent[-1][0] == live.version)
    elapsed = asyncio.get_running_loop().time() - begin
    assert len(sent) <= 2 + elapsed / pace.STATUS_SECONDS
    live.amend(state=QueryState.COMPLETED)
    async with asyncio.timeout(10):
        await watcher


async def test_another_state_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "STATUS_SECONDS", 3600.0)
    live, sent = running(), []
    watcher = asyncio.create_task(watch(live, sent))
    await until(lambda: sent)
    live.amend(rows=1)
    await asyncio.sleep(0)
    live.amend(state=QueryState.COMPLETED)
    async with asyncio.timeout(10):
        await watcher
    assert [state for _, state in sent] == [QueryState.RUNNING, QueryState.COMPLETED]
    assert sent[-1][0] == live.version
