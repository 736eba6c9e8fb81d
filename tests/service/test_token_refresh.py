"""Both clients before a real server that wants tokens: a result is read to its end, whatever tokens that takes."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from queryengine.client import AccessDenied, AsyncClient, Client
from tests.guarded import LEEWAY_SECONDS, LIFE_SECONDS, MovableClock, guarded
from tests.support import Gate
from tests.unit.jwt_keys import claims, token

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Issuer:
    """Gives a fresh token for every call, or keeps giving the first."""

    def __init__(self, clock: MovableClock, *, keeps: bool = False) -> None:
        self._clock = clock
        self._keeps = keeps
        self.given: list[str] = []

    def __call__(self) -> str:
        now = self._clock.seconds
        fresh = self.given[0] if self._keeps and self.given else token(claims(now, exp=now + LIFE_SECONDS))
        self.given.append(fresh)
        return fresh


async def by_asyncio(target: str, script: str, shown: Any, first: Callable[[], None]) -> list[int]:
    rows: list[int] = []
    async with AsyncClient(target, token=shown, give_up_after=20) as client:
        handle = await client.submit(script, engine="scripted")
        async for batch in handle.result():
            rows += batch["n"].to_pylist()
            if len(rows) == batch.num_rows:
                first()
    return rows


def blocking(target: str, script: str, shown: Any, first: Callable[[], None]) -> list[int]:
    rows: list[int] = []
    with Client(target, token=shown, give_up_after=20) as client:
        for batch in client.submit(script, engine="scripted").result():
            rows += batch["n"].to_pylist()
            if len(rows) == batch.num_rows:
                first()
    return rows


async def by_thread(target: str, script: str, shown: Any, first: Callable[[], None]) -> list[int]:
    return await asyncio.to_thread(blocking, target, script, shown, first)


@pytest.mark.parametrize("read", [by_asyncio, by_thread])
async def test_a_result_outlives_its_token(tmp_path: Path, read: Any) -> None:
    gate = Gate(tmp_path / "gate")
    async with guarded(tmp_path) as (service, _, clock):
        issuer = Issuer(clock)

        def expire() -> None:
            """Between the pages: the stream that is open has a token that has ended."""
            clock.ahead_seconds = LIFE_SECONDS + LEEWAY_SECONDS + 1
            gate.open()

        rows = await read(service.address, f"rows 300; {gate.script}; rows 200", issuer, expire)
        assert rows == list(range(500))
        assert len(set(issuer.given)) >= 2


@pytest.mark.parametrize("read", [by_asyncio, by_thread])
async def test_without_a_fresh_token_the_reader_learns_why(tmp_path: Path, read: Any) -> None:
    gate = Gate(tmp_path / "gate")
    async with guarded(tmp_path) as (service, _, clock):

        def expire() -> None:
            clock.ahead_seconds = LIFE_SECONDS + LEEWAY_SECONDS + 1
            gate.open()

        with pytest.raises(AccessDenied) as raised:
            await read(service.address, f"rows 300; {gate.script}; rows 200", Issuer(clock, keeps=True), expire)
        assert raised.value.reason == "TOKEN_EXPIRED"
