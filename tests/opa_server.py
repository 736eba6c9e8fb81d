"""A server that speaks the API of OPA's documents, and answers as a test says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.http_server import document, listening

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
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        self.questions.append(json.loads(await reader.readexactly(length))["input"])
        self.requests.append(head)
        if self.answer is None:
            await reader.read()
        elif isinstance(self.answer, bytes):
            writer.write(self.answer)
        else:
            writer.write(document(json.dumps(self.answer).encode()))


@asynccontextmanager
async def opa_server() -> AsyncIterator[OpaServer]:
    """Serves until the end of the block."""
    found = OpaServer()
    async with listening(found.serve) as found.port:
        yield found
