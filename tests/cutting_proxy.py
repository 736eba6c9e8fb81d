"""A connection that breaks: a proxy that resets it after a number of bytes, wherever a message is then."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

PIECE_BYTES = 16 << 10


class CuttingProxy:
    """Forwards to a server, and resets a connection after the number of bytes from it that `budget` gives, or never
    when that is None.
    """

    def __init__(self, target: str, budget: Callable[["CuttingProxy"], int | None]) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._budget = budget
        self._connections: set[asyncio.Task[None]] = set()
        self.cuts = 0
        self.address = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CuttingProxy"]:
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await server.wait_closed()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
        budget = self._budget(self)
        upwards = asyncio.create_task(_pump(reader, up_writer, None))
        try:
            # A handler of asyncio that ends by its own cancellation is reported as an error.
            with suppress(asyncio.CancelledError):
                if await _pump(up_reader, writer, budget):
                    self.cuts += 1
                    _reset(writer)
        finally:
            upwards.cancel()
            await asyncio.gather(upwards, return_exceptions=True)
            for each in (writer, up_writer):
                each.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int | None) -> bool:
    """Forward until the end, or until so many bytes went: then True."""
    try:
        while data := await reader.read(PIECE_BYTES if budget is None else min(PIECE_BYTES, budget)):
            writer.write(data)
            await writer.drain()
            if budget is not None:
                budget -= len(data)
                if budget <= 0:
                    return True
    except ConnectionError:
        pass
    return False


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST, so that nothing in flight arrives."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
