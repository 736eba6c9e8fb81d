"""Integers of 128 bits as Arrow decimals: Arrow has no such integers."""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

WIDE_INTEGER: Final = pa.decimal256(39, 0)
"""Holds every 128-bit integer, signed or not."""

# Arrow imports pandas, where it is installed, to make a scalar of a Python value: a fifth of a second in each process.
_TWO_POW_64: Final = pa.Array.from_buffers(
    pa.decimal256(20, 0), 1, [None, pa.py_buffer((2**64).to_bytes(32, "little"))]
)[0]


def wide_integers(storage: pa.Array, high_type: pa.DataType) -> pa.Array:
    """Little-endian 128-bit integers in 16 octets each as decimals: high × 2^64 + low. The upper half is an int64 of
    signed integers, an uint64 of others.
    """
    count = len(storage)
    validity, data = storage.buffers()
    limbs = data.slice(storage.offset * 16, count * 16)
    low = pa.Array.from_buffers(pa.uint64(), 2 * count, [None, limbs]).take(pa.arange(0, 2 * count, 2))
    high = pa.Array.from_buffers(high_type, 2 * count, [None, limbs]).take(pa.arange(1, 2 * count + 1, 2))
    shifted = pc.multiply(high.cast(pa.decimal256(20, 0)), _TWO_POW_64)
    total = pc.add(shifted, low.cast(pa.decimal256(20, 0)))
    if validity is not None:
        # A NULL has any bytes; taken out before the cast, they cannot overflow it.
        total = pc.if_else(storage.is_valid(), total, pa.NULL)
    return total.cast(WIDE_INTEGER)
