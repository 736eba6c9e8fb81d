"""The server's end of the connection to a worker process: whole frames out, whole frames in.

A frame is given to its listener in the call in which its last byte arrives: no task wakes up for it. Before somebody
listens, frames wait for `receive`. What a listener raises ends the connection, as the rest would be misunderstood.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from queryengine.workers.protocol import Frame, decoded, frame_bytes

WAITING_MAX: Final = 64
"""Frames that wait for `receive`; with more of them nothing is read until it is called."""


class FrameChannel(asyncio.Protocol):
    """One connection, from its opening to its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._partial = bytearray()
        """The beginning of a frame whose end has not arrived."""
        self._needed = 0
        """Bytes that `_partial` must reach before it is worth looking at again."""
        self._waiting: deque[Frame] = deque()
        self._is_paused = False
        self._listener: Callable[[Frame], None] | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] = loop.create_future()
        self._cause: Exception | None = None
        self.left_unread = False
        """Once it is closed: whether the other side went with something unread, by what the kernel says: it resets such
        a connection, and refuses what is written after the end.
        """

    @property
    def is_closed(self) -> bool:
        return self._closed.done()

    def send(self, frame: bytes) -> None:
        """Send a frame. Does nothing when the other side is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    async def receive(self) -> Frame | None:
        """The next frame, or None when the other side is gone. For one caller, and not together with `listen`. Raises
        ValueError for what is no frame.
        """
        while not self._waiting:
            if self.is_closed:
                if self._cause is not None:
                    raise self._cause
                return None
            self._arrived = self._loop.create_future()
            await self._arrived
        frame = self._waiting.popleft()
        self._read_on()
        return frame

    async def listen(self, listener: Callable[[Frame], None]) -> None:
        """Call `listener` with each frame, from now on until the other side is gone; then return. Raises what the
        listener raised, once the connection has ended by it.
        """
        while self._waiting:
            listener(self._waiting.popleft())
        self._listener = listener
        self._read_on()
        await asyncio.shield(self._closed)
        if self._cause is not None:
            raise self._cause

    def close(self) -> None:
        """End the connection. Idempotent."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Those of uvloop have the methods alone.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._partial:
            self._partial += data
            if len(self._partial) < self._needed:
                return
            data, self._partial = bytes(self._partial), bytearray()
        try:
            end = self._take_frames(data)
        except Exception as cause:
            self._cause = cause
            self.close()
            return
        if end < len(data):
            self._partial += data[end:]
            self._needed = frame_bytes(self._partial)

    def connection_lost(self, cause: Exception | None) -> None:
        self.left_unread = isinstance(cause, ConnectionError)
        if not self._closed.done():
            self._closed.set_result(None)
        self._wake()

    def _take_frames(self, data: bytes) -> int:
        """Hand over every frame that is whole; returns where the first one begins that is not. Raises what a listener
        raises, and ValueError for what is no frame.
        """
        start = 0
        while (end := start + frame_bytes(data, start)) <= len(data):
            self._hand_over(decoded(data, start))
            start = end
        return start

    def _hand_over(self, frame: Frame) -> None:
        if self._listener is not None:
            self._listener(frame)
            return
        self._waiting.append(frame)
        if len(self._waiting) >= WAITING_MAX and self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def _read_on(self) -> None:
        if self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)
