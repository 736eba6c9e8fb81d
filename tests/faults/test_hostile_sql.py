"""SQL that is made to hurt costs its sender a bounded time, while others are served."""

import asyncio
from datetime import timedelta
from typing import Self

import grpc
import pytest

from queryengine.app.service import Service
from tests.support import WAIT, Api, Refusal, new_id, refused, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOMBS = {
    "deep parentheses": "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
    "deeper parentheses": "SELECT " + "(" * 60_000 + "1" + ")" * 60_000,
    "deep CASE": "SELECT " + "CASE WHEN true THEN " * 2_000 + "1" + " END" * 2_000,
    "deep brackets": "SELECT " + "[" * 50_000 + "]" * 50_000,
    "unary operators": "SELECT " + "- " * 50_000 + "1",
    "NOT NOT NOT": "SELECT " + "NOT " * 30_000 + "true",
    "unclosed": "SELECT '" + "(" * 100_000,
}

LONG = {
    "OR chain": "SELECT 1 WHERE " + " OR ".join(f"1={number}" for number in range(11_000)),
    "IN list": f"SELECT 1 WHERE 1 IN ({','.join(str(number) for number in range(20_000))})",
    "columns": "SELECT " + ",".join(str(number) for number in range(20_000)),
    "UNION": " UNION ALL ".join("SELECT 1" for _ in range(6_000)),
    "deep sub-queries": "SELECT * FROM (" * 3_000 + "SELECT 1" + ")" * 3_000,
}


def unseen() -> str:
    """A statement that has not been checked before."""
    return f"SELECT '{new_id()}' AS a"


class LoopLag:
    """How late the event loop of the service comes to a task that is due: every 10 ms."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._measure())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.01
            await asyncio.sleep(0.01)
            self.seconds.append(loop.time() - due)

    @property
    def was_held(self) -> bool:
        """By something that computes on the loop: a bomb takes seconds there, a busy machine some tenths."""
        return max(self.seconds, default=0.0) > 1.0


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_is_refused_and_nobody_waits_for_it(api: Api, other: Api, bomb: str) -> None:
    async with LoopLag() as lag:
        refusal = await refused(api.submit(BOMBS[bomb], wait_timeout=WAIT))
    assert refusal.code.name == "INVALID_ARGUMENT"
    assert refusal.reason in ("SYNTAX_ERROR", "STATEMENT_TOO_COMPLEX")
    assert not lag.was_held
    # The process that checks SQL may have been lost; the next Submit finds a new one.
    assert (await other.submit(unseen(), wait_timeout=WAIT)).HasField("end")
    assert not (await api.listed()).queries


@pytest.mark.parametrize("text", LONG)
async def test_a_long_statement_is_answered(api: Api, text: str) -> None:
    assert len(LONG[text]) < 128 << 10
    async with LoopLag() as lag:
        submitting = api.submit(LONG[text], limits={"execution_timeout": timedelta(seconds=2)}, wait_timeout=WAIT)
        (answer,) = await asyncio.gather(submitting, return_exceptions=True)
    if isinstance(answer, grpc.aio.AioRpcError):
        assert Refusal.of(answer).reason == "STATEMENT_TOO_COMPLEX"
    else:
        expected = ("", "STATEMENT_REJECTED", "STATEMENT_TOO_COMPLEX", "QUERY_TIMEOUT")
        assert answer.status.error.reason in expected
    assert not lag.was_held
    assert (await api.submit(unseen(), wait_timeout=WAIT)).HasField("end")


async def test_bombs_of_many_tenants_do_not_keep_others_from_working(
    service: Service, channel: grpc.aio.Channel, other: Api
) -> None:
    tenants = [Api(channel, f"tenant-{new_id()}") for _ in range(3)]
    bombs = [asyncio.ensure_future(refused(each.submit(BOMBS["deeper parentheses"]))) for each in tenants]
    async with LoopLag() as lag:
        checks = service.parts.sandboxes.sliced_checks
        assert checks is not None
        await until(lambda: checks.waiting)
        served = [await other.submit(unseen(), wait_timeout=WAIT) for _ in range(3)]
        # None of these waited for all of the bombs.
        assert not all(bomb.done() for bomb in bombs)
    assert all(reply.HasField("end") for reply in served)
    assert not lag.was_held
    for bomb in bombs:
        assert (await bomb).reason == "STATEMENT_TOO_COMPLEX"
    assert (await tenants[0].submit(unseen(), wait_timeout=WAIT)).HasField("end")
