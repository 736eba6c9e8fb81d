"""Bytes in flight: bounded for all and for each tenant, in turn, and never refused to a tenant that has none."""

import asyncio

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.reading.byte_budget import ByteBudget, ByteBudgetLimits


def budget(**changes: float) -> ByteBudget:
    limits = {"bytes_max": 100, "tenant_bytes_max": 60, "tenant_waiting": 3, "wait_seconds": 60.0}
    return ByteBudget(ByteBudgetLimits(**{**limits, **changes}))  # type: ignore[arg-type]


async def started(budget: ByteBudget, tenant: str, size: int) -> asyncio.Task[None]:
    """A take that has begun, and has room or waits."""
    task = asyncio.create_task(budget.take(tenant, size))
    await asyncio.sleep(0)
    return task


async def test_a_tenant_has_its_share_and_others_have_theirs() -> None:
    room = budget()
    first = await started(room, "a", 40)
    second = await started(room, "a", 40)
    assert (first.done(), second.done(), room.waiting) == (True, False, 1)
    other = await started(room, "b", 60)
    assert other.done()
    # All of it is taken: a third tenant has nothing in flight, so it is let in all the same, once.
    third, fourth = await started(room, "c", 30), await started(room, "c", 1)
    assert (third.done(), fourth.done(), room.total) == (True, False, 130)
    room.give("a", 40)
    await asyncio.sleep(0)
    assert (second.done(), fourth.done(), room.total) == (True, False, 130)
    room.give("b", 60)
    await asyncio.sleep(0)
    assert (fourth.done(), room.total) == (True, 71)
    for tenant, size in (("a", 40), ("c", 30), ("c", 1)):
        room.give(tenant, size)
    assert (room.total, room.waiting) == (0, 0)


async def test_what_is_larger_than_a_share_goes_alone() -> None:
    room = budget()
    large = await started(room, "a", 500)
    small = await started(room, "a", 1)
    assert (large.done(), small.done()) == (True, False)
    room.give("a", 500)
    await asyncio.sleep(0)
    assert small.done()
    room.give("a", 1)


async def test_first_come_first_served_within_a_tenant() -> None:
    room = budget()
    await room.take("a", 50)
    large, small = await started(room, "a", 40), await started(room, "a", 1)
    assert (large.done(), small.done()) == (False, False)
    room.give("a", 50)
    await asyncio.sleep(0)
    assert (large.done(), small.done()) == (True, True)


async def test_too_many_who_wait_and_too_long_a_wait_are_refused() -> None:
    room = budget(tenant_waiting=1, wait_seconds=0.01)
    await room.take("a", 60)
    waiting = await started(room, "a", 1)
    for call in (room.take("a", 1), waiting):
        with pytest.raises(QueryEngineError) as refusal:
            await call
        assert refusal.value.failure.reason is Reason.TENANT_BUSY
        assert refusal.value.failure.retryable
    room.give("a", 60)
    assert (room.total, room.waiting) == (0, 0)


async def test_who_leaves_while_waiting_holds_nothing() -> None:
    room = budget()
    await room.take("a", 60)
    leaving, staying = await started(room, "a", 30), await started(room, "a", 30)
    leaving.cancel()
    await asyncio.sleep(0)
    room.give("a", 60)
    await asyncio.sleep(0)
    assert (staying.done(), room.total) == (True, 30)
    # And who leaves at the moment it is let in.
    next_one = await started(room, "a", 60)
    room.give("a", 30)
    next_one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await next_one
    assert (room.total, room.waiting) == (0, 0)


async def test_a_size_is_corrected() -> None:
    room = budget()
    async with room.held("a", 10) as resize:
        resize(60)
        assert room.total == 60
        waiting = await started(room, "a", 10)
        assert not waiting.done()
        resize(50)
        await asyncio.sleep(0)
        assert (waiting.done(), room.total) == (True, 60)
    room.give("a", 10)
    assert room.total == 0
