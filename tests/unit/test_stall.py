"""A stall is one write that does not end; many that do are none, however long they take together."""

import asyncio

import pytest

from queryengine.edges.grpc.stall import Stall


async def test_a_write_that_does_not_end_is_a_stall() -> None:
    stall = Stall(0.01)
    stall.begin()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.get_running_loop().create_future()
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    assert stall.happened
    stall.close()


async def test_waiting_for_rows_and_writes_that_end_are_none() -> None:
    stall = Stall(0.01)
    for _ in range(10):
        stall.begin()
        stall._look()
        stall.end()
        stall._look()
        stall.begin()
        stall.end()
        stall._look()
    assert not stall.happened
    stall.close()
