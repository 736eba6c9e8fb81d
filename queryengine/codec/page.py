"""A page on the wire, without protobuf objects: the bytes around a payload, and the payload within the bytes.

A page is a StreamResultsResponse whose event is `page`. The payload is its last field, so a message is a small prefix
followed by the payload as it is: a worker writes the prefix and the payload once, a server sends the stored bytes,
and a client reads the payload in place, without a copy.
"""

from dataclasses import dataclass
from typing import Final

import google_crc32c
import pyarrow as pa

from queryengine.v1 import query_service_pb2 as service_pb
from queryengine.v1 import result_pb2 as pb

VARINT: Final = 0
LENGTH_DELIMITED: Final = 2
FIXED32: Final = 5
"""Wire types."""


def _key(message: type, field: str, wire_type: int) -> int:
    """What a field of a message begins with, as a number."""
    number: int = message.DESCRIPTOR.fields_by_name[field].number  # type: ignore[attr-defined]
    return number << 3 | wire_type


def _tag(message: type, field: str, wire_type: int) -> bytes:
    return varint(_key(message, field, wire_type))


def varint(value: int) -> bytes:
    """Protobuf base-128 encoding of a number that is not negative."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


EVENT_TAG: Final = _tag(service_pb.StreamResultsResponse, "page", LENGTH_DELIMITED)
ARROW_TAG: Final = _tag(pb.Page, "arrow", LENGTH_DELIMITED)
ROWS_TAG: Final = _tag(pb.Page, "rows", LENGTH_DELIMITED)
ROWS_CHUNK_TAG: Final = _tag(pb.Page, "rows_chunk", LENGTH_DELIMITED)

_NUMBERS: Final = tuple(
    _key(pb.Page, name, VARINT) for name in ("start_row", "row_count", "chunk_index", "chunk_count")
)
_CHECKSUM: Final = _key(pb.Page, "crc32c", FIXED32)
_ARROW: Final = _key(pb.Page, "arrow", LENGTH_DELIMITED)
_ROWS: Final = frozenset(_key(pb.Page, name, LENGTH_DELIMITED) for name in ("rows", "rows_chunk"))


@dataclass(frozen=True, slots=True)
class PageView:
    """One page message, read in place; `payload` shares memory with the message."""

    start_row: int
    row_count: int
    crc32c: int
    chunk_index: int
    chunk_count: int
    is_arrow: bool
    payload: pa.Buffer

    @property
    def is_whole(self) -> bool:
        return self.chunk_count <= 1


def checksum(payload: bytes | pa.Buffer) -> int:
    """CRC-32C of a payload; a Buffer is not copied."""
    value: int = google_crc32c.value(payload)
    return value


def page_prefix(
    *,
    start_row: int,
    row_count: int,
    crc32c: int,
    payload_length: int,
    is_arrow: bool = True,
    chunk_index: int = 0,
    chunk_count: int = 0,
) -> bytes:
    """The bytes of a Page message that come before a payload of this many bytes.

    A chunk of typed rows is a field of its own: a part of a message is not one that a generated client can decode.
    """
    header = pb.Page(
        start_row=start_row,
        row_count=row_count,
        crc32c=crc32c,
        chunk_index=chunk_index,
        chunk_count=chunk_count,
    )
    rows_tag = ROWS_CHUNK_TAG if chunk_count > 1 else ROWS_TAG
    tag = ARROW_TAG if is_arrow else rows_tag
    encoded: bytes = header.SerializeToString()
    return encoded + tag + varint(payload_length)


def event_prefix(page_prefix_bytes: bytes, payload_length: int) -> bytes:
    """The bytes of a StreamResultsResponse before the payload, from the bytes of its Page before the payload."""
    return EVENT_TAG + varint(len(page_prefix_bytes) + payload_length) + page_prefix_bytes


def parse_event(message: bytes) -> PageView | None:
    """The page inside an encoded StreamResultsResponse, or None when its event is another one.

    Raises ValueError when the bytes are not such a message.
    """
    if not message.startswith(EVENT_TAG):
        return None
    length, start = _read_varint(message, len(EVENT_TAG))
    if start + length != len(message):
        raise ValueError("page message of a wrong length")
    return parse_page(message, start)


def page_of_event(message: bytes) -> bytes:
    """The encoded Page inside an encoded StreamResultsResponse whose event is a page."""
    _, start = _read_varint(message, len(EVENT_TAG))
    return message[start:]


def parse_page(message: bytes, start: int = 0) -> PageView:
    """The Page encoded in `message` from `start` to its end. Raises ValueError when it is not one."""
    fields = dict.fromkeys(_NUMBERS, 0)
    crc32c = 0
    position, end = start, len(message)
    while position < end:
        key, position = _read_varint(message, position)
        if key in fields:
            fields[key], position = _read_varint(message, position)
        elif key == _CHECKSUM:
            crc32c = int.from_bytes(message[position : position + 4], "little")
            position += 4
        elif key == _ARROW or key in _ROWS:
            length, position = _read_varint(message, position)
            if position + length != end:
                raise ValueError("page payload of a wrong length")
            payload = pa.py_buffer(message).slice(position, length)
            start_row, row_count, chunk_index, chunk_count = fields.values()
            return PageView(start_row, row_count, crc32c, chunk_index, chunk_count, key == _ARROW, payload)
        else:
            raise ValueError(f"unknown field {key >> 3} in a page")
    raise ValueError("page without a payload")


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ValueError("truncated varint")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
