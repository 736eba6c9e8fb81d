"""Pages as this contract frames them: a prefix before the payload, which stored pages have already."""

from queryengine.codec.page import event_prefix, page_of_event, page_prefix
from queryengine.reading.items import PageItem, PagePart
from queryengine.results.reader import StoredPage
from queryengine.results.slicing import CutPage


def stream_message(item: PageItem) -> bytes:
    """The encoded StreamResultsResponse of a page, or of a part of one. A stored page leaves as it is, uncopied."""
    if isinstance(item, StoredPage):
        return item.stored
    return event_prefix(_prefix(item), len(item.payload)) + item.payload


def page_message(page: StoredPage | CutPage) -> bytes:
    """The encoded Page."""
    if isinstance(page, StoredPage):
        return page_of_event(page.stored)
    return _prefix(page) + page.payload


def _prefix(item: CutPage | PagePart) -> bytes:
    """The bytes of the Page before the payload."""
    part = item if isinstance(item, PagePart) else None
    page = item.page if isinstance(item, PagePart) else item
    return page_prefix(
        start_row=page.start_row,
        row_count=page.row_count,
        crc32c=page.crc32c,
        payload_length=len(item.payload),
        is_arrow=item.is_arrow,
        chunk_index=part.index if part else 0,
        chunk_count=part.count if part else 0,
    )
