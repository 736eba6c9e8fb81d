"""What the server remembers of ended queries is bounded in bytes, and what it forgets is read from the disk again."""

from pathlib import Path

import pytest

from tests.support import COMPLETED, WAIT, served, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENGINES = {"scripted": {"type": "scripted", "workers": 1}}
COLUMNS = ",".join(f"a_column_of_a_wide_result_{number}:int64" for number in range(500))


async def test_indexes_of_wide_results_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path, engines=ENGINES) as (service, api):
        registry = service.parts.shared.registry
        query_ids = []
        for _ in range(4):
            reply = await api.script(f"columns {COLUMNS}; rows 20", wait_timeout=WAIT)
            assert reply.status.state == COMPLETED
            query_ids.append(reply.status.query_id)
        await until(lambda: not registry.active())
        one = registry.in_memory("tenant", query_ids[0]).held_bytes
        assert one > 10_000
        monkeypatch.setattr("queryengine.live.registry.ENDED_BYTES_MAX", 2 * one)
        small = (await api.script("rows 1", wait_timeout=WAIT)).status.query_id
        await until(lambda: ("tenant", small) in registry._ended)
        held = [registry.in_memory("tenant", query_id) is not None for query_id in (*query_ids, small)]
        assert held == [False, False, False, True, True]
        # To read one again counts what that takes, also when nobody asks for it another time.
        for query_id in query_ids:
            assert (await api.read(query_id)).next_row == 20
            kept = [each for each in query_ids if (live := registry.in_memory("tenant", each)) and live.index]
            assert query_id in kept
            assert len(kept) <= 2
            assert registry._held_bytes <= 2 * one
        assert registry._held.keys() == registry._ended.keys()
