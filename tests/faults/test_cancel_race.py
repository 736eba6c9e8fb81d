"""A cancel that races completion leaves exactly one final state, and everybody is told the same one."""

import asyncio
import random
from collections import Counter
from pathlib import Path

from tests.support import CANCELLED, COMPLETED, FINAL, Api, served

RACES = 1_000
AT_ONCE = 20
DELAY_SECONDS_MAX = 0.02
"""About as long as the query takes, so that either side wins now and then."""


async def race(api: Api, delay_seconds: float) -> int:
    """Run one short query against one cancel; returns the state that won."""
    query_id = (await api.submit("SELECT count(*) FROM range(100000)")).status.query_id
    watching = asyncio.ensure_future(api.watch(query_id).all())
    await asyncio.sleep(delay_seconds)
    first, second = await asyncio.gather(
        api.cancel(query_id, wait_timeout={"seconds": 30}), api.cancel(query_id, wait_timeout={"seconds": 30})
    )
    watched = [event.status for event in await watching if event.HasField("status")]
    final = [status for status in watched if status.state in FINAL]
    state = (await api.status(query_id)).state
    assert {status.state for status in final} == {state}
    assert first.status.state == second.status.state == state
    assert [status.version for status in watched] == sorted({status.version for status in watched})
    if state == COMPLETED:
        assert (await api.read(query_id)).end is not None
    return int(state)


async def test_one_of_cancel_and_completion_wins(tmp_path: Path) -> None:
    chance = random.Random(1)
    won: Counter[int] = Counter()
    limits = {"tenant_running": 100, "tenant_streams": 1_000}
    async with served(tmp_path / "state", limits=limits) as (service, api):
        for _ in range(RACES // AT_ONCE):
            states = await asyncio.gather(*(race(api, chance.uniform(0, DELAY_SECONDS_MAX)) for _ in range(AT_ONCE)))
            won.update(states)
        # Every slot is free again: none was given back twice, none was lost.
        for name in service.settings.engines:
            assert service.pool.load(name).running == 0
    assert set(won) == {COMPLETED, CANCELLED}
    assert won.total() == RACES
