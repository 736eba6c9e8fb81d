"""A server that answers as an issuer does, or as a script says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.http_server import Answering, document, listening


class KeyServer:
    """Answers every request with `answer`, and counts them."""

    def __init__(self) -> None:
        self.answer: bytes | Answering = document(b"{}")
        self.requests = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        if isinstance(self.answer, bytes):
            writer.write(self.answer)
        else:
            await self.answer(reader, writer)


@asynccontextmanager
async def key_server() -> AsyncIterator[KeyServer]:
    """Serves until the end of the block."""
    keys = KeyServer()
    async with listening(keys.serve) as keys.port:
        yield keys
