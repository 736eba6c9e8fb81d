"""The frames between server and worker processes: a JSON header and a blob of bytes, over a socket pair.

Only control messages and small blobs travel here; pages go through the spool. JSON and not pickle, because a worker
runs other people's SQL and the server must not run what a worker sends.
"""

import asyncio
import json
import socket
import struct
from dataclasses import dataclass
from typing import Any, Final

_LENGTHS: Final = struct.Struct("<II")
FRAME_BYTES_MAX: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. `header["type"]` says which."""

    header: dict[str, Any]
    blob: bytes = b""

    @property
    def type(self) -> str:
        kind: str = self.header["type"]
        return kind


def encode(header: dict[str, Any], blob: bytes = b"") -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    return _LENGTHS.pack(len(text), len(blob)) + text + blob


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame, or None when the other side is gone."""
    try:
        lengths = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        if sum(lengths) > FRAME_BYTES_MAX:
            return None
        text = await reader.readexactly(lengths[0])
        blob = await reader.readexactly(lengths[1]) if lengths[1] else b""
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return _decoded(text, blob)


def receive_frame(connection: socket.socket) -> Frame | None:
    """As read_frame, blocking, for the worker's side."""
    head = _receive(connection, _LENGTHS.size)
    if head is None:
        return None
    text_length, blob_length = _LENGTHS.unpack(head)
    text = _receive(connection, text_length)
    blob = _receive(connection, blob_length)
    if text is None or blob is None:
        return None
    return _decoded(text, blob)


def _decoded(text: bytes, blob: bytes) -> Frame:
    # As text, or json would look for its encoding first.
    return Frame(json.loads(text.decode()), blob)


def _receive(connection: socket.socket, length: int) -> bytes | None:
    data = bytearray()
    while len(data) < length:
        try:
            part = connection.recv(length - len(data))
        except ConnectionError:
            return None
        if not part:
            return None
        data += part
    return bytes(data)
