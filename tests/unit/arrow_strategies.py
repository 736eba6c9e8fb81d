"""Hypothesis strategies for canonical Arrow types and for batches of them."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

UNITS = ("s", "ms", "us", "ns")
INTS = {pa.int8(): 8, pa.int16(): 16, pa.int32(): 32, pa.int64(): 64}
UINTS = {pa.uint8(): 8, pa.uint16(): 16, pa.uint32(): 32, pa.uint64(): 64}
FLOATS = {pa.float16(): 16, pa.float32(): 32, pa.float64(): 64}
DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
I64 = st.integers(-(2**63), 2**63 - 1)

names = st.text(max_size=5)


def decimals() -> st.SearchStrategy[pa.DataType]:
    small = st.builds(pa.decimal128, st.integers(1, 38), st.integers(-5, 38))
    return small | st.builds(pa.decimal256, st.integers(39, 71), st.integers(-5, 71))


leaves = st.one_of(
    st.sampled_from([pa.null(), pa.bool_(), *INTS, *UINTS, *FLOATS, pa.string(), pa.binary(), pa.date32()]),
    st.sampled_from([pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")]),
    st.builds(pa.timestamp, st.sampled_from(UNITS), st.sampled_from([None, "UTC", "Europe/Vienna", "+05:30"])),
    st.builds(pa.duration, st.sampled_from(UNITS)),
    st.sampled_from([pa.month_day_nano_interval(), pa.uuid(), pa.json_()]),
    decimals(),
)


def _fields(types: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.Field]:
    metadata = st.sampled_from([None, {b"engine_type": b"HUGEINT"}])
    return st.builds(pa.field, names, types, metadata=metadata)


def _nested(types: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    keys = st.sampled_from([pa.string(), pa.int32(), pa.timestamp("ns")])
    return st.one_of(
        st.builds(pa.list_, _fields(types)),
        st.builds(pa.struct, st.lists(_fields(types), max_size=3)),
        st.builds(pa.map_, keys, types),
    )


arrow_types = st.recursive(leaves, _nested, max_leaves=4)
schemas = st.lists(_fields(arrow_types), min_size=1, max_size=4).map(pa.schema)


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """A batch of any schema, possibly a slice of a larger one."""
    schema = draw(schemas)
    rows = draw(st.integers(0, 5))
    columns = [array(draw, field.type, rows) for field in schema]
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    start = draw(st.integers(0, rows))
    return batch.slice(start, draw(st.integers(0, rows - start)))


def array(draw: st.DrawFn, arrow: pa.DataType, length: int, *, nulls: bool = True) -> pa.Array:
    """Built from the parts Arrow itself stores, so that no value passes through a Python type that rounds it."""
    types = pa.types
    mask = [nulls and draw(st.booleans()) for _ in range(length)]
    if types.is_null(arrow):
        return pa.nulls(length)
    if types.is_list(arrow) or types.is_map(arrow):
        lengths = [0 if masked else draw(st.integers(0, 2)) for masked in mask]
        offsets = pa.array([sum(lengths[:index]) for index in range(length + 1)], pa.int32())
        masks = pa.array(mask, pa.bool_())
        if types.is_list(arrow):
            children = array(draw, arrow.value_type, sum(lengths))
            return pa.ListArray.from_arrays(offsets, children, type=arrow, mask=masks)
        keys = array(draw, arrow.key_type, sum(lengths), nulls=False)
        items = array(draw, arrow.item_type, sum(lengths))
        return pa.MapArray.from_arrays(offsets, keys, items, type=arrow, mask=masks)
    if types.is_struct(arrow):
        fields = [arrow.field(index) for index in range(arrow.num_fields)]
        if not fields:
            return pa.array([None if masked else {} for masked in mask], arrow)
        children = [array(draw, field.type, length) for field in fields]
        return pa.StructArray.from_arrays(children, fields=fields, mask=pa.array(mask, pa.bool_()))
    values = [None if masked else draw(_value(arrow)) for masked in mask]
    if types.is_decimal(arrow):
        # Arrow counts the zeros of a Python value as digits, though not of the type.
        return pa.array(values, pa.decimal256(76, max(arrow.scale, 0))).cast(arrow)
    if isinstance(arrow, pa.UuidType | pa.JsonType):
        return pa.ExtensionArray.from_storage(arrow, pa.array(values, arrow.storage_type))
    return pa.array(values, arrow)


def _value(arrow: pa.DataType) -> st.SearchStrategy[Any]:
    types = pa.types
    if arrow in INTS:
        return st.integers(-(2 ** (INTS[arrow] - 1)), 2 ** (INTS[arrow] - 1) - 1)
    if arrow in UINTS:
        return st.integers(0, 2 ** UINTS[arrow] - 1)
    if arrow in FLOATS:
        return st.floats(width=FLOATS[arrow], allow_nan=False)  # type: ignore[arg-type]
    if types.is_decimal(arrow):
        limit = 10**arrow.precision - 1
        return st.integers(-limit, limit).map(lambda digits: Decimal(f"{digits}E{-arrow.scale}"))
    if types.is_time(arrow):
        return st.integers(0, DAY[arrow.unit] - 1)
    if types.is_date(arrow):
        return st.integers(-(2**31), 2**31 - 1)
    if types.is_timestamp(arrow) or types.is_duration(arrow):
        return I64
    if types.is_interval(arrow):
        i32 = st.integers(-(2**31), 2**31 - 1)
        return st.tuples(i32, i32, I64)
    if isinstance(arrow, pa.UuidType):
        return st.binary(min_size=16, max_size=16)
    return {
        pa.bool_(): st.booleans(),
        pa.string(): st.text(max_size=5),
        pa.binary(): st.binary(max_size=5),
        pa.json_(): st.sampled_from(["null", '{"a": 1.10}']),
    }[arrow]
