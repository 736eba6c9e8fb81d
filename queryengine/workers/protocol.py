"""The frames between server and worker processes: a JSON header and a blob of bytes, over a socket pair.

Only control messages and small blobs travel here; pages go through the spool. JSON and not pickle, because a worker
runs other people's SQL and the server must not run what a worker sends.
"""

import json
import socket
import struct
from dataclasses import dataclass
from typing import Any, Final

LENGTHS: Final = struct.Struct("<II")
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
    return LENGTHS.pack(len(text), len(blob)) + text + blob


def frame_bytes(data: bytes | bytearray, start: int = 0) -> int:
    """Length of the frame that begins in data, as far as it is known: at least its lengths. Raises ValueError for one
    that is too large to be a frame.
    """
    if len(data) - start < LENGTHS.size:
        return LENGTHS.size
    text, blob = LENGTHS.unpack_from(data, start)
    if text + blob > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {text + blob} bytes")
    size: int = LENGTHS.size + text + blob
    return size


def decoded(data: bytes, start: int = 0) -> Frame:
    """The whole frame that begins in data. Raises ValueError for what is no frame."""
    text, blob = LENGTHS.unpack_from(data, start)
    middle = start + LENGTHS.size + text
    return _frame(data[start + LENGTHS.size : middle], data[middle : middle + blob])


def receive_frame(connection: socket.socket) -> Frame | None:
    """The next frame, or None when the other side is gone; blocking, for the worker's side."""
    head = _receive(connection, LENGTHS.size)
    if head is None:
        return None
    text_length, blob_length = LENGTHS.unpack(head)
    text = _receive(connection, text_length)
    blob = _receive(connection, blob_length)
    if text is None or blob is None:
        return None
    return _frame(text, blob)


def _frame(text: bytes, blob: bytes) -> Frame:
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
