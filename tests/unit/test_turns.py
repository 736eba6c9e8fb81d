"""Turns: who is let in, in which order, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.turns import TurnLimits, Turns


def turns(places: int, *, tenant_places: int = 0, waiting: int = 100, waiting_bytes: int = 1_000) -> Turns:
    limits = TurnLimits(
        places=places,
        tenant_places=tenant_places or places,
        tenant_waiting=waiting,
        tenant_waiting_bytes=waiting_bytes,
    )
    return Turns(limits)


class Crowd:
    """Callers that note when they are let in."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.entered: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def play(self, script: str) -> None:
        """`+a1` a call of tenant a comes, `~a1` comes and lets all others go first, `-a1` goes, at work or not,
        `!a` has all others go before the calls of tenant a.
        """
        for step in script.split():
            action, name = step[0], step[1:]
            if action == "!":
                self._turns.defer(name)
            elif action != "-":
                self.tasks[name] = asyncio.create_task(self._enter(name, last=action == "~"))
            elif name in self.entered:
                self._turns.leave(name[0])
            else:
                self.tasks[name].cancel()
            for _ in range(5):
                await asyncio.sleep(0)

    async def _enter(self, name: str, *, last: bool) -> None:
        await self._turns.enter(name[0], 100, last=last)
        self.entered.append(name)


@asynccontextmanager
async def crowd(turns: Turns) -> AsyncIterator[Crowd]:
    callers = Crowd(turns)
    yield callers
    for task in callers.tasks.values():
        task.cancel()
    await asyncio.gather(*callers.tasks.values(), return_exceptions=True)


@pytest.mark.parametrize(
    ("places", "tenant_places", "script", "entered"),
    [
        (1, 1, "+a1 +a2 +a3 +b1 -a1 -a2 -b1", "a1 a2 b1 a3"),
        (1, 1, "+a1 +a2 +a3 +a4 +b1 +b2 +c1 -a1 -a2 -b1 -c1 -a3 -b2", "a1 a2 b1 c1 a3 b2 a4"),
        (2, 2, "+a1 +a2 +a3 +b1 -a1 -a2", "a1 a2 a3 b1"),
        (2, 1, "+a1 +a2 +a3 +b1", "a1 b1"),
        (2, 1, "+a1 +a2 +b1 +b2 -b1 -a1", "a1 b1 b2 a2"),
        (3, 2, "+a1 +a2 +a3 +b1 +c1 -a1 -a2", "a1 a2 b1 a3 c1"),
        (1, 1, "+a1 ~b1 ~b2 +c1 +c2 -a1 -c1 -c2 -b1", "a1 c1 c2 b1 b2"),
        (2, 2, "~a1 +b1", "a1 b1"),
        (1, 1, "+a1 +b1 +c1 -b1 -a1", "a1 c1"),
        (1, 1, "+a1 +b1 +b2 -b1 -a1 -b2", "a1 b2"),
        (1, 1, "+a1 +b1 +b2 +c1 !b +d1 ~e1 -a1 -c1 -d1 -b1 -e1", "a1 c1 d1 b1 e1 b2"),
        (1, 1, "+a1 +b1 +b2 !b !b !x -b1 -a1 -b2", "a1 b2"),
    ],
    ids=[
        "one call waits behind one of many",
        "tenant after tenant",
        "alone first come first served",
        "one tenant leaves a place",
        "what comes free is for who may use it",
        "two of three places",
        "last behind all others",
        "last enters at once beside a free place",
        "who gave up is passed over",
        "who gave up leaves the tenant in its turn",
        "who waits is put behind all others",
        "who gave up behind all others",
    ],
)
async def test_calls_are_let_in_by_turns(places: int, tenant_places: int, script: str, entered: str) -> None:
    async with crowd(turns(places, tenant_places=tenant_places)) as callers:
        await callers.play(script)
        assert callers.entered == entered.split()


async def test_nothing_is_kept_of_who_is_gone() -> None:
    places = turns(2)
    async with crowd(places) as callers:
        await callers.play("+a1 +b1 +c1 +d1 -d1 -a1 -b1 -c1")
    assert (places.at_work, places.waiting) == (0, 0)
    assert not any((places._at_work, places._waiting, places._waiting_bytes, *places._lines))


async def test_a_place_given_to_a_call_that_is_cancelled_at_that_moment_goes_on() -> None:
    places = turns(1)
    async with crowd(places) as callers:
        await callers.play("+a1 +b1 +c1")
        # Let in and cancelled before it could run.
        places.leave("a")
        callers.tasks["b1"].cancel()
        await callers.play("")
        await asyncio.sleep(0)
        await asyncio.gather(callers.tasks["b1"], return_exceptions=True)
        await callers.tasks["c1"]
        assert callers.entered == ["a1", "c1"]


async def test_a_call_cancelled_just_before_its_turn_is_passed_over() -> None:
    places = turns(1)
    async with crowd(places) as callers:
        await callers.play("+a1 +b1 +c1")
        callers.tasks["b1"].cancel()
        places.leave("a")
        await callers.tasks["c1"]
        assert (places.at_work, places.waiting) == (1, 0)


@pytest.mark.parametrize(
    ("waiting", "waiting_bytes", "size", "fit", "limit"),
    [(3, 1_000, 1, 3, "3"), (100, 250, 100, 2, "250"), (100, 250, 300, 1, "250"), (100, 250, 0, 100, "100")],
    ids=["by number", "by bytes", "one that is too large alone waits", "without bytes by number"],
)
async def test_what_one_tenant_lets_wait_is_bounded(
    waiting: int, waiting_bytes: int, size: int, fit: int, limit: str
) -> None:
    places = turns(1, waiting=waiting, waiting_bytes=waiting_bytes)
    await places.enter("a")
    tasks = [asyncio.create_task(places.enter("a", size)) for _ in range(fit)]
    await asyncio.sleep(0)
    with pytest.raises(QueryEngineError) as refusal:
        await places.enter("a", size)
    failure = refusal.value.failure
    assert (failure.reason, failure.metadata["limit"]) == (Reason.TENANT_BUSY, limit)
    assert failure.retry_after_seconds
    # Another tenant is not refused for it.
    theirs = asyncio.create_task(places.enter("b", size))
    await asyncio.sleep(0)
    assert not theirs.done()
    for task in (*tasks, theirs):
        task.cancel()
    await asyncio.gather(*tasks, theirs, return_exceptions=True)
    assert places.waiting == 0
