"""Stored pages as items that fit: whole where a reader wants the whole of one, else cut, else in parts."""

from collections.abc import AsyncIterator, Callable

from queryengine.reading.cutting import Cutting
from queryengine.reading.items import PageItem, PagePart
from queryengine.reading.place import Place
from queryengine.results.index import PageIndex
from queryengine.results.slicing import CutOrder, CutPage


class Paging:
    """Serves the pages of all streams. `part_bytes` is how much of a page may be held for a reader at the moment."""

    def __init__(self, cutting: Cutting, part_bytes: Callable[[], int]) -> None:
        self._cutting = cutting
        self._part_bytes = part_bytes

    async def items(self, tenant: str, index: PageIndex, place: Place, *, as_rows: bool) -> AsyncIterator[PageItem]:
        """What is wanted of the stored page at a place, which has rows. Typed rows, and a page that is to begin or end
        elsewhere than it was stored, are cut by a sandbox worker. Raises what cutting and reading raise.
        """
        row, reader = place.row, place.reader(index)
        number = index.find(row)
        entry = index[number]
        end_row = min(place.end_row(index), entry.end_row)
        if not as_rows and row == entry.start_row and end_row == entry.end_row:
            part_bytes = self._part_bytes()
            if entry.length <= part_bytes:
                yield await reader.page(number)
                return
            count = -(-entry.payload_length // part_bytes)
            part_number = 0
            async for part in reader.parts(number, part_bytes):
                yield PagePart(entry, part, part_number, count)
                part_number += 1
            return
        while row < end_row:
            # What is cut waits here for the reader, so in a crowd it is as little as a part, of large rows, too.
            part_bytes = self._part_bytes()
            row_limit = max(1, entry.row_count * part_bytes // max(1, entry.payload_length))
            order = CutOrder(
                source=index.source,
                entries=(entry,),
                start_row=row,
                row_limit=min(row_limit, end_row - row),
                bytes_max=part_bytes,
                as_rows=as_rows,
            )
            async with self._cutting.page_or_row(tenant, order) as found:
                if isinstance(found, CutPage):
                    row = found.start_row + found.row_count
                    yield found
                    continue
                row = found.page.start_row + 1
                part_number, count = 0, found.part_count(part_bytes)
                async for part in found.parts(part_bytes):
                    yield PagePart(found.page, part, part_number, count, is_arrow=found.page.is_arrow)
                    part_number += 1
