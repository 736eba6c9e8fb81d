"""A page read and written without protobuf objects says what protobuf says, both ways, for every payload and part."""

import itertools

import pytest

from queryengine.codec.page import event_prefix, page_of_event, page_prefix, parse_event, parse_page
from queryengine.v1 import query_service_pb2 as service_pb
from queryengine.v1 import result_pb2 as pb

NUMBERS = (0, 1, 127, 128, 1 << 31, (1 << 53) + 1)


@pytest.mark.parametrize("chunk", [(0, 0), (0, 2), (1, 2), (200, 300)])
@pytest.mark.parametrize("payload", [b"", b"x", b"x" * 127, b"x" * 128, b"x" * 70_000])
def test_a_page_is_what_protobuf_writes_and_reads(payload: bytes, chunk: tuple[int, int]) -> None:
    index, count = chunk
    for start_row, row_count in itertools.product(NUMBERS, (0, 1, 300)):
        page = pb.Page(
            start_row=start_row,
            row_count=row_count,
            crc32c=0xFEDCBA98,
            arrow=payload,
            chunk_index=index,
            chunk_count=count,
        )
        event = service_pb.StreamResultsResponse(page=page).SerializeToString()
        view = parse_event(event)
        assert view is not None
        found = (view.start_row, view.row_count, view.crc32c, view.chunk_index, view.chunk_count, view.is_arrow)
        assert found == (start_row, row_count, 0xFEDCBA98, index, count, True)
        assert view.payload.to_pybytes() == payload
        prefix = page_prefix(
            start_row=start_row,
            row_count=row_count,
            crc32c=0xFEDCBA98,
            payload_length=len(payload),
            chunk_index=index,
            chunk_count=count,
        )
        written = event_prefix(prefix, len(payload)) + payload
        assert service_pb.StreamResultsResponse.FromString(written).page == page
        assert pb.Page.FromString(page_of_event(written)) == page


def test_a_part_of_typed_rows_is_a_field_of_its_own() -> None:
    prefix = page_prefix(
        start_row=1, row_count=2, crc32c=3, payload_length=4, is_arrow=False, chunk_index=0, chunk_count=2
    )
    page = pb.Page.FromString(prefix + b"part")
    assert page.WhichOneof("payload") == "rows_chunk"
    assert page.rows_chunk == b"part"
    assert not parse_page(prefix + b"part").is_arrow


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x08",
        b"\x08\xff",
        pb.Page(start_row=1).SerializeToString(),
        pb.Page(arrow=b"xyz").SerializeToString()[:-1],
        pb.Page(arrow=b"xyz").SerializeToString() + b"x",
        b"\x7a\x00" + pb.Page(arrow=b"xyz").SerializeToString(),
        b"\x09" + bytes(8) + pb.Page(arrow=b"xyz").SerializeToString(),
    ],
)
def test_bytes_that_are_no_page_are_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"page|varint|field"):
        parse_page(message)
