"""A real HTTP server on loopback that speaks the API of OPA's documents, and answers as a test says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

ALLOW: dict[str, Any] = {"result": {"allow": True}}


class OpaServer:
    """Answers every question with `answer`: a document, or bytes that are the whole answer, or None for silence."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] | bytes | None = ALLOW
        self.questions: list[dict[str, Any]] = []
        self.requests: list[str] = []
        """Their first lines and headers."""
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
            self.questions.append(json.loads(await reader.readexactly(length))["input"])
            self.requests.append(head)
            if self.answer is None:
                await reader.read()
            elif isinstance(self.answer, bytes):
                writer.write(self.answer)
            else:
                body = json.dumps(self.answer).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def opa_server() -> AsyncIterator[OpaServer]:
    """Serves until the end of the block."""
    found = OpaServer()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await server.wait_closed()
