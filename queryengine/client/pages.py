"""The stored pages of a result, as plain values."""

from dataclasses import dataclass

from queryengine.client.brief import Brief
from queryengine.v1 import query_service_pb2


@dataclass(frozen=True, slots=True, repr=False)
class StoredPage(Brief):
    """Some rows as they are stored."""

    start_row: int
    row_count: int
    bytes: int
    """Of its payload, an Arrow IPC stream."""
    crc32c: int
    """CRC-32C (Castagnoli) of the payload."""

    @property
    def end_row(self) -> int:
        """The row after its last one."""
        return self.start_row + self.row_count


@dataclass(frozen=True, slots=True, repr=False)
class StoredPages(Brief):
    """Some pages of a result, in the order of their rows and without gaps."""

    pages: tuple[StoredPage, ...]
    next_page_token: str
    """Empty at the end of a complete result. While the query runs, it lists what is stored later."""
    total_rows: int | None
    """Of the whole result; None while the query runs."""


def stored_pages(message: query_service_pb2.ListPagesResponse) -> StoredPages:
    return StoredPages(
        tuple(StoredPage(each.start_row, each.row_count, each.bytes, each.crc32c) for each in message.pages),
        message.next_page_token,
        message.total_rows if message.HasField("total_rows") else None,
    )
