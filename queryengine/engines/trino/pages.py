"""Rows of Trino's pages as record batches: from the page itself, or from segments that it refers to.

One batch at a time: a segment is fetched when the one before it has been taken.
"""

import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import lz4.block
import orjson
import pyarrow as pa
import zstandard

from queryengine.domain.errors import Reason, error
from queryengine.engines.trino.query import Page, TrinoQuery
from queryengine.engines.trino.types import Kind, field_of

SEGMENT_BYTES_MAX: Final = 256 << 20
"""Of a segment, unpacked. Trino makes them of 16 MiB unless it is configured otherwise."""


class Columns:
    """The columns of one result. Turns lists of JSON values into batches."""

    def __init__(self, columns: Sequence[Mapping[str, Any]]) -> None:
        described = [field_of(column) for column in columns]
        self.schema = pa.schema([field for field, _ in described])
        self._kinds: list[Kind] = [kind for _, kind in described]

    def batch(self, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
        """Raises STATEMENT_REJECTED for a value that its column cannot hold."""
        arrays = [self._array(number, values) for number, values in enumerate(zip(*rows, strict=True))]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _array(self, number: int, values: Sequence[Any]) -> pa.Array:
        try:
            return self._kinds[number].array(values)
        except (pa.ArrowInvalid, ValueError, OverflowError) as cause:
            field = self.schema.field(number)
            message = f"column {field.name!r} has a value that {field.type} cannot hold; CAST it in the query"
            raise error(Reason.STATEMENT_REJECTED, message, column=field.name) from cause


def batches_of(page: Page, columns: Columns, query: TrinoQuery) -> Iterator[pa.RecordBatch]:
    """The rows of a page, in order."""
    data = page.data
    if isinstance(data, Mapping):
        for segment in data["segments"]:
            rows = orjson.loads(_unpacked(segment, data["encoding"], query))
            yield from _batch(rows, columns)
            if segment["type"] == "spooled":
                query.acknowledge(segment["ackUri"], _headers(segment))
    elif data:
        yield from _batch(data, columns)


def _batch(rows: Sequence[Sequence[Any]], columns: Columns) -> Iterator[pa.RecordBatch]:
    if rows:
        yield columns.batch(rows)


def _unpacked(segment: Mapping[str, Any], encoding: str, query: TrinoQuery) -> bytes:
    """The JSON text of a segment."""
    if segment["type"] == "inline":
        packed = binascii.a2b_base64(segment["data"])
    else:
        packed = query.segment(segment["uri"], _headers(segment))
    size = int(segment["metadata"].get("uncompressedSize", 0))
    if not size:
        # Too little to be worth packing.
        return packed
    if size > SEGMENT_BYTES_MAX:
        message = f"Trino made a segment of {size} bytes, at most {SEGMENT_BYTES_MAX} are read"
        raise error(Reason.ROW_TOO_LARGE, message)
    unpack = _UNPACK.get(encoding.partition("+")[2])
    if unpack is None:
        raise error(Reason.ENGINE_ERROR, f"Trino sent segments as {encoding}, which was not asked for")
    return unpack(packed, size)


def _headers(segment: Mapping[str, Any]) -> dict[str, str]:
    return {name: ",".join(values) for name, values in segment.get("headers", {}).items()}


def _zstd(packed: bytes, size: int) -> bytes:
    return zstandard.ZstdDecompressor().decompress(packed, max_output_size=size)


def _lz4(packed: bytes, size: int) -> bytes:
    unpacked: bytes = lz4.block.decompress(packed, uncompressed_size=size)
    return unpacked


_UNPACK: Final[Mapping[str, Callable[[bytes, int], bytes]]] = MappingProxyType({"zstd": _zstd, "lz4": _lz4})
