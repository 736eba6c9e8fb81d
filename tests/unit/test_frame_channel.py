"""Frames arrive whole and in order however the bytes are cut, and what a listener raises ends the connection."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from queryengine.workers.channel import WAITING_MAX, FrameChannel
from queryengine.workers.protocol import FRAME_BYTES_MAX, LENGTHS, Frame, encode, receive_frame
from tests.support import until

FRAMES = [Frame({"type": "a"}), Frame({"type": "b"}, b"x" * 100_000), Frame({"type": "ü"}, b""), Frame({"type": "c"})]
BYTES = b"".join(encode(frame.header, frame.blob) for frame in FRAMES)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[FrameChannel, socket.socket]]:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        _, channel = await loop.create_connection(partial(FrameChannel, loop), sock=ours)
        theirs.setblocking(False)
        try:
            yield channel, theirs
        finally:
            channel.close()
            await until(lambda: channel.is_closed)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 31, 4096, 65_536, len(BYTES)])
async def test_frames_arrive_however_their_bytes_are_cut(size: int) -> None:
    loop = asyncio.get_running_loop()
    channel = FrameChannel(loop)
    taken: list[Frame] = []
    listening = asyncio.ensure_future(channel.listen(taken.append))
    await asyncio.sleep(0)
    for start in range(0, len(BYTES), size):
        channel.data_received(BYTES[start : start + size])
    assert taken == FRAMES
    channel.connection_lost(None)
    await listening


async def test_frames_that_came_before_the_listener_are_handed_over_in_order() -> None:
    async with connected() as (channel, theirs):
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(theirs, encode({"type": "first"}) + encode({"type": "second"}))
        assert await channel.receive() == Frame({"type": "first"})
        taken: list[str] = []
        done = asyncio.Event()

        def take(frame: Frame) -> None:
            taken.append(frame.type)
            if frame.type == "last":
                done.set()

        listening = asyncio.ensure_future(channel.listen(take))
        await loop.sock_sendall(theirs, encode({"type": "third"}) + encode({"type": "last"}))
        await done.wait()
        assert taken == ["second", "third", "last"]
        theirs.close()
        await listening


async def test_what_waits_for_nobody_is_bounded_and_comes_in_order() -> None:
    async with connected() as (channel, theirs):
        frames = [encode({"number": number}, b"x" * 50_000) for number in range(3 * WAITING_MAX)]
        loop = asyncio.get_running_loop()
        sending = asyncio.ensure_future(loop.sock_sendall(theirs, b"".join(frames)))
        for number in range(len(frames)):
            frame = await channel.receive()
            assert frame is not None
            assert frame.header == {"number": number}
        await sending
        theirs.close()
        assert await channel.receive() is None
        assert channel.is_closed


@pytest.mark.parametrize(
    "sent",
    [
        encode({"type": "bad"}),
        LENGTHS.pack(FRAME_BYTES_MAX, 1),
        LENGTHS.pack(3, 0) + b"{x}",
        LENGTHS.pack(2, 0) + b"\xff\xff",
    ],
)
async def test_what_is_no_frame_and_what_a_listener_raises_end_the_connection(sent: bytes) -> None:
    def take(frame: Frame) -> None:
        raise ValueError(frame.type)

    async with connected() as (channel, theirs):
        listening = asyncio.ensure_future(channel.listen(take))
        await asyncio.get_running_loop().sock_sendall(theirs, sent)
        with pytest.raises(ValueError, match=r"."):
            await listening
        assert channel.is_closed
        channel.send(encode({"type": "late"}))
        theirs.setblocking(True)
        assert receive_frame(theirs) is None


async def test_a_frame_that_was_cut_off_is_not_handed_over() -> None:
    async with connected() as (channel, theirs):
        await asyncio.get_running_loop().sock_sendall(theirs, BYTES[:-1])
        theirs.close()
        got = [await channel.receive() for _ in FRAMES]
        assert got == [*FRAMES[:-1], None]
