"""What a stream consists of: a plain sequence of items, distinguished by their class. An edge frames them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from queryengine.results.reader import StoredPage
from queryengine.results.segment import PageEntry, ResultTotals
from queryengine.results.slicing import CutPage


class RotateReason(StrEnum):
    """Why a stream ends on purpose."""

    AGE = "age"
    BYTES = "bytes"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """What a reader asked for."""

    start_row: int
    end_row: int | None = None
    """The row before which the reader stops; None for the end of the result."""
    attempt: int
    as_rows: bool
    heartbeat_seconds: float


@dataclass(frozen=True, slots=True)
class Started:
    attempt: int
    next_row: int


@dataclass(frozen=True, slots=True)
class Changed:
    """The query's state or progress changed; read it from the LiveQuery."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of an attempt. Come again when another attempt began before any row was sent."""

    schema: bytes
    """An Arrow IPC schema message."""
    described: bytes
    """The same as an encoded ResultSchema, of any size."""
    attempt: int


@dataclass(frozen=True, slots=True)
class PagePart:
    """One of the parts, in order, of a page whose payload is too large to be held or sent at once."""

    page: PageEntry | CutPage
    """The checksum in it is that of the whole payload."""
    payload: bytes
    index: int
    count: int
    is_arrow: bool = True


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life."""


@dataclass(frozen=True, slots=True)
class Rotated:
    next_row: int
    attempt: int
    reason: RotateReason


@dataclass(frozen=True, slots=True)
class Finished:
    """The query completed, and every row asked for was sent."""

    totals: ResultTotals
    """Of the whole result, also when a part of it was asked for."""
    attempt: int
    next_row: int
    """The row after the last one sent: the end of the range asked for, at most that of the result."""


PageItem: TypeAlias = StoredPage | CutPage | PagePart
Item: TypeAlias = Started | Changed | Columns | PageItem | Beat | Rotated | Finished
