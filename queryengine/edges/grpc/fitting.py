"""Replies that fit: gRPC clients accept messages of 4 MiB unless they ask for more, and the service sends 3.5 at most.

Whatever may be larger is cut, to be continued by a token or in chunks; what cannot be cut is refused by name.
"""

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from google.protobuf.message import Message

from queryengine.codec.page import LENGTH_DELIMITED, varint
from queryengine.domain.errors import Reason, error
from queryengine.v1 import result_pb2
from queryengine.v1.query_service_pb2 import StreamResultsResponse

M = TypeVar("M", bound=Message)

REPLY_BYTES_MAX: Final = 3_584 << 10
CHUNK_BYTES: Final = 3_500 << 10
"""Of a schema that is sent in chunks, and of all that is listed: the rest of a message is small."""


def within_reply(encoded: bytes) -> bytes:
    """An encoded reply as it is. Raises REPLY_TOO_LARGE for one that gRPC or the client would refuse without a name."""
    if len(encoded) > REPLY_BYTES_MAX:
        message = f"the reply has {len(encoded)} bytes and no message may have more than {REPLY_BYTES_MAX}"
        raise error(Reason.REPLY_TOO_LARGE, message, bytes=len(encoded), limit=REPLY_BYTES_MAX)
    return encoded


def fitting(messages: Iterable[M]) -> list[M]:
    """The first messages of a list, as many as one reply holds; at least one."""
    kept: list[M] = []
    room = CHUNK_BYTES
    for each in messages:
        # Tag and length of the field take a few bytes more.
        room -= each.ByteSize() + 8
        if kept and room < 0:
            break
        kept.append(each)
    return kept


def embedded(message_type: type[Message], field: str, encoded: bytes) -> bytes:
    """An encoded submessage as a field; appended to an encoded message, it sets or extends that field."""
    number = message_type.DESCRIPTOR.fields_by_name[field].number
    return varint(number << 3 | LENGTH_DELIMITED) + varint(len(encoded)) + encoded


def schema_messages(described: bytes, attempt: int) -> Iterator[bytes]:
    """An encoded ResultSchema as messages of a stream: one, or chunks that fit."""
    if len(described) <= CHUNK_BYTES:
        yield embedded(StreamResultsResponse, "schema", described)
        return
    count = -(-len(described) // CHUNK_BYTES)
    for index in range(count):
        part = described[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        chunk = result_pb2.ResultSchema(attempt=attempt, chunk_index=index, chunk_count=count, chunk=part)
        yield embedded(StreamResultsResponse, "schema", chunk.SerializeToString())
