"""Numbers beyond 64 bits as a result carries them: one rule for every engine.

Few Arrow libraries read a decimal256 right, so by default it is a decimal128, which all of them read, and a number of
more than 38 digits fails the query in words that say what to ask for instead. An adapter yields whole numbers as
INT128 and its kin, which hold every one of them, and decimals in a type that holds every one of them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import chain
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from queryengine.codec.nesting import Convert, Plan, plan_inside
from queryengine.codec.types import DECIMAL128_DIGITS, DECIMAL256_DIGITS
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.submission import WideIntegers

INT128: Final = pa.opaque(pa.binary(16), "int128", "queryengine")
UINT128: Final = pa.opaque(pa.binary(16), "uint128", "queryengine")
INT256: Final = pa.opaque(pa.binary(32), "int256", "queryengine")
UINT256: Final = pa.opaque(pa.binary(32), "uint256", "queryengine")
"""Whole numbers as an adapter yields them: little-endian, in two's complement where they have a sign."""
UNBOUNDED: Final = pa.decimal256(DECIMAL256_DIGITS, DECIMAL128_DIGITS)
"""Decimals of which an engine does not say how many digits they have."""
USUAL_SCALE: Final = 20
"""Of unbounded decimals, where the first rows need no other: what an average in PostgreSQL usually has."""

_SIGNED: Final = MappingProxyType({INT128: True, UINT128: False, INT256: True, UINT256: False})
_INTEGER: Final = pa.decimal128(DECIMAL128_DIGITS, 0)
_LONG_INTEGER: Final = pa.decimal256(DECIMAL256_DIGITS, 0)
_ANY_INT128: Final = pa.decimal256(39, 0)


def _constant(number: int) -> pa.Scalar:
    # Not pa.scalar: to make one of a Python value Arrow imports pandas, where that is installed.
    octets = number.to_bytes(_ANY_INT128.byte_width, "little")
    return pa.Array.from_buffers(_ANY_INT128, 1, [None, pa.py_buffer(octets)])[0]


_ZERO: Final = _constant(0)
_TWO_POW_128: Final = _constant(2**128)


def carried(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], how: WideIntegers
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The same rows with wide numbers as `how` says. Waits for the first batch where the scale of a column depends on
    it.

    Raises STATEMENT_REJECTED with the column's name, then or from the batches, for a number that has no place in its
    type; nothing is rounded.
    """
    wide = [number for number, field in enumerate(schema) if _is_wide(field.type)]
    if not wide:
        return schema, batches
    first: list[pa.RecordBatch] = []
    if how is WideIntegers.FAIL and any(_is_unbounded(schema.field(number).type) for number in wide):
        first = [batch for batch in (next(batches, None),) if batch is not None]
    fields, converts = list(schema), {}
    for number in wide:
        field = schema.field(number)
        with _naming(field.name, how):
            scale = _scale(chain.from_iterable(_unbounded(batch.column(number)) for batch in first))
        target, convert = _plan(field.type, how, scale)
        if convert is not None:
            fields[number], converts[number] = field.with_type(target), convert
    target_schema = pa.schema(fields, schema.metadata)
    return target_schema, _converted(chain(first, batches), target_schema, converts, how)


def carried_type(arrow: pa.DataType) -> pa.DataType:
    """What a column of this type is carried as by default, with the usual scale."""
    return _plan(arrow, WideIntegers.FAIL, USUAL_SCALE)[0]


def _converted(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, converts: dict[int, Convert], how: WideIntegers
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        columns = batch.columns
        for number, convert in converts.items():
            with _naming(schema.field(number).name, how):
                columns[number] = convert(columns[number])
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


@contextmanager
def _naming(name: str, how: WideIntegers) -> Iterator[None]:
    """A number that does not fit becomes a failure that says whose it is, and what to do."""
    try:
        yield
    except pa.ArrowInvalid as cause:
        raise _misfit(name, how) from cause


def _misfit(name: str, how: WideIntegers) -> QueryEngineError:
    digits = DECIMAL128_DIGITS if how is WideIntegers.FAIL else DECIMAL256_DIGITS
    others = '"string" or "decimal256"' if how is WideIntegers.FAIL else '"string"'
    message = (
        f"column {name!r} has a number that needs more than {digits} digits, or more digits before or after its "
        f"decimal point than its type has; CAST it in the query, or ask for the result option wide_integers {others}"
    )
    return error(Reason.STATEMENT_REJECTED, message, column=name, wide_integers=how.value)


def _plan(arrow: pa.DataType, how: WideIntegers, scale: int) -> Plan:
    """`scale` is that of unbounded decimals."""
    if arrow in _SIGNED:
        return _integer_plan(arrow, how)
    if pa.types.is_decimal256(arrow):
        return _decimal_plan(arrow, how, scale)
    return plan_inside(arrow, lambda _, inner: _plan(inner, how, scale))


def _integer_plan(arrow: pa.DataType, how: WideIntegers) -> Plan:
    if how is WideIntegers.STRING:
        return pa.string(), lambda array: _integer_texts(array, signed=_SIGNED[arrow])
    octets = arrow.storage_type.byte_width
    if how is WideIntegers.FAIL and octets == 16:
        return _INTEGER, lambda array: _within(_as_decimals(array, _INTEGER), arrow)
    if octets == 32:
        target = _INTEGER if how is WideIntegers.FAIL else _LONG_INTEGER
        return target, lambda array: _within(_as_decimals(array, _LONG_INTEGER), arrow).cast(target)
    return _ANY_INT128, lambda array: _extended(array, _ANY_INT128, signed=_SIGNED[arrow])


def _as_decimals(array: pa.Array, target: pa.DataType) -> pa.Array:
    """The same memory: Arrow's decimals are little-endian numbers in two's complement, too."""
    validity, data = array.storage.buffers()
    return pa.Array.from_buffers(target, len(array), [validity, data], -1, array.offset)


def _within(array: pa.Array, arrow: pa.DataType) -> pa.Array:
    """The same array. Raises ArrowInvalid when it holds what has too many digits, or is negative for want of a bit."""
    ends = pc.min_max(array)
    least, most = ends["min"].as_py(), ends["max"].as_py()
    bound = 10**array.type.precision
    if least is not None and not (-bound < least and most < bound and (_SIGNED[arrow] or least >= 0)):
        raise pa.ArrowInvalid("too many digits")
    return array


def _extended(array: pa.Array, target: pa.DataType, *, signed: bool) -> pa.Array:
    """Integers of 16 octets in a type that has more digits than any of them."""
    numbers = _as_decimals(array, _INTEGER).cast(target)
    if signed:
        return numbers
    below_zero = pc.less(numbers, _ZERO)
    return pc.if_else(below_zero, pc.add(numbers, _TWO_POW_128).cast(target), numbers)


def _integer_texts(array: pa.Array, *, signed: bool) -> pa.Array:
    octets = array.storage.to_pylist()
    texts = (None if each is None else str(int.from_bytes(each, "little", signed=signed)) for each in octets)
    return pa.array(texts, pa.string())


def _decimal_plan(arrow: pa.DataType, how: WideIntegers, scale: int) -> Plan:
    if how is WideIntegers.DECIMAL256:
        return arrow, None
    if how is WideIntegers.STRING:
        return pa.string(), lambda array: _decimal_texts(array, trim=arrow == UNBOUNDED)
    places = scale if arrow == UNBOUNDED else max(min(arrow.scale, DECIMAL128_DIGITS), -DECIMAL128_DIGITS)
    target = pa.decimal128(DECIMAL128_DIGITS, places)
    return target, lambda array: array.cast(target)


def _decimal_texts(array: pa.Array, *, trim: bool) -> pa.Array:
    return pa.array((None if each is None else _text(each, trim=trim) for each in array.to_pylist()), pa.string())


def _text(number: Decimal, *, trim: bool) -> str:
    """Without an exponent; zeros at the end are those of the type where it has a scale of its own."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if trim and "." in text else text


def _scale(leaves: Iterable[pa.Array]) -> int:
    """The usual one, or the nearest that holds these unbounded decimals. Raises ArrowInvalid when none does."""
    arrays = [leaf for leaf in leaves if leaf.null_count < len(leaf)]
    if not arrays:
        return USUAL_SCALE
    ends = [pc.min_max(array).as_py() for array in arrays]
    # Not abs(): it rounds to the digits that Python's decimals compute with.
    digits = max(each[end].copy_abs().adjusted() + 1 for each in ends for end in ("min", "max"))
    most = DECIMAL128_DIGITS - max(0, digits)
    for scale in range(min(USUAL_SCALE, most), most + 1):
        if all(_fits(array, scale) for array in arrays):
            return scale
    raise pa.ArrowInvalid("no scale fits")


def _fits(array: pa.Array, scale: int) -> bool:
    try:
        array.cast(pa.decimal128(DECIMAL128_DIGITS, scale))
    except pa.ArrowInvalid:
        return False
    return True


def _unbounded(array: pa.Array) -> Iterator[pa.Array]:
    """The unbounded decimals of a column, wherever they are in it."""
    if array.type == UNBOUNDED:
        yield array
    elif pa.types.is_map(array.type):
        yield from chain(_unbounded(array.keys), _unbounded(array.items))
    elif pa.types.is_struct(array.type):
        yield from chain.from_iterable(map(_unbounded, array.flatten()))
    elif pa.types.is_nested(array.type):
        yield from _unbounded(array.flatten())


def _is_wide(arrow: pa.DataType) -> bool:
    # By the number of the type, as every column of every result is asked.
    if arrow.id == UNBOUNDED.id:
        return True
    if arrow.id == INT128.id:
        return arrow in _SIGNED
    return arrow.num_fields > 0 and any(map(_is_wide, _inside(arrow)))


def _is_unbounded(arrow: pa.DataType) -> bool:
    return arrow == UNBOUNDED or any(map(_is_unbounded, _inside(arrow)))


def _inside(arrow: pa.DataType) -> list[pa.DataType]:
    # Arrow counts key and value of a map as one field.
    if pa.types.is_map(arrow):
        return [arrow.key_type, arrow.item_type]
    return [arrow.field(number).type for number in range(arrow.num_fields)]
