"""How infinite dates and timestamps are stored, which some engines have: as the largest number of their type."""

from typing import Final

import pyarrow as pa

INT32_MAX: Final = (1 << 31) - 1
INT64_MAX: Final = (1 << 63) - 1


def infinite_count(arrow: pa.DataType) -> int:
    """What stands for infinity in a date or a timestamp of this type, and negated for -infinity; 0 when nothing does.

    An Arrow timestamp in nanoseconds has none: its largest count is a moment of the year 2262.
    """
    if pa.types.is_date32(arrow):
        return INT32_MAX
    return INT64_MAX if pa.types.is_timestamp(arrow) and arrow.unit != "ns" else 0
