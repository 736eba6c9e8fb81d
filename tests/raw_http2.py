"""Calls an RPC with header bytes that no client library would send: HTTP/2 written by hand."""

import socket
import struct
from collections.abc import Sequence

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def call(address: str, path: str, metadata: Sequence[tuple[bytes, bytes]], *, seconds: float = 10.0) -> bytes:
    """Send a call with an empty request; everything that the server sends until it ends the call."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(opening(path, metadata))
        return _answer(connection)


def opening(path: str, metadata: Sequence[tuple[bytes, bytes]]) -> bytes:
    """What a client sends on a new connection: a call with an empty request."""
    pairs = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        *metadata,
    ]
    block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in pairs)
    message = b"\x00" + struct.pack(">I", 0)
    begin = PREFACE + _frame(SETTINGS, 0, 0, b"") + _frame(SETTINGS, ACK, 0, b"")
    return begin + _frame(HEADERS, END_HEADERS, 1, block) + _frame(DATA, END_STREAM, 1, message)


def _answer(connection: socket.socket) -> bytes:
    received = b""
    while True:
        head = _exactly(connection, 9)
        if head is None:
            return received
        kind, flags = head[3], head[4]
        payload = _exactly(connection, int.from_bytes(head[:3], "big")) or b""
        received += payload
        ends = kind in (HEADERS, DATA) and flags & END_STREAM
        if kind in (RST_STREAM, GOAWAY) or ends:
            return received
        if kind == PING and not flags & ACK:
            connection.sendall(_frame(PING, ACK, 0, payload))


def _exactly(connection: socket.socket, length: int) -> bytes | None:
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            return None
        data += part
    return data


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _text(text: bytes) -> bytes:
    """A string of HPACK, as it is; of at most 126 bytes."""
    assert len(text) < 127
    return bytes([len(text)]) + text
