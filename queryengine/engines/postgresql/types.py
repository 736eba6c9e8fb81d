"""What each column of PostgreSQL becomes in Arrow, and what the server or we do to it on the way.

The driver brings most types as they are. Of the others the server is asked for text or JSON; numeric comes as text and
is parsed here, in less time than the driver takes; and what would come wrong, such as an infinite date, is refused with
the column's name.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from queryengine.codec.wide_numbers import UNBOUNDED
from queryengine.domain.errors import Reason, error

Convert: TypeAlias = Callable[[pa.Array], pa.Array]

_DIGITS_MAX: Final = 76
_DIGITS128_MAX: Final = 38
_DECIMAL_TEXT_MAX: Final = _DIGITS_MAX + 2
"""Characters of a decimal that Arrow can hold: its digits, a sign and a point."""

_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bool": "boolean",
        "int2": "smallint",
        "int4": "integer",
        "int8": "bigint",
        "float4": "real",
        "float8": "double precision",
        "varchar": "character varying",
        "bpchar": "character",
        "timetz": "time with time zone",
        "timestamptz": "timestamp with time zone",
        "varbit": "bit varying",
        "char": '"char"',
    }
)
"""By the server's internal names; the others are called as they are."""

_UNKNOWN: Final = re.compile(r"unnamed<oid:(\d+)>")
"""What the driver calls a type that it does not know."""

_EARLIEST_DAY: Final = -2_440_588
_EARLIEST_MICROSECOND: Final = -210_866_803_200_000_000
"""24 November 4714 BC. The driver lets what Arrow has no place for, such as infinity, wrap around to before it."""
_DAY_MICROSECONDS: Final = 86_400_000_000


_NO_JSON: Final = "0"
_COMPOSITE: Final = (
    r"CASE WHEN {0}::text OPERATOR(pg_catalog.~) '\[-?[0-9]+:-?[0-9]+\](=\{{|\[)' "
    "THEN '" + _NO_JSON + "'::json ELSE pg_catalog.to_json({0}) END"
)
"""JSON has no lower bounds of arrays. Only the text of a composite says that it holds one; in its place comes what is
never the JSON of a composite.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """How a column is asked for, and what becomes of it here."""

    field: pa.Field
    expression: str
    """Over the placeholder {}, the column in the user's query."""
    convert: Convert | None = None
    is_array: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([column.field for column in self.columns])

    @property
    def projection(self) -> tuple[str, str] | None:
        """What stands before and behind the user's query; None when its columns come as they are."""
        if all(column.expression == "{}" and not column.is_array for column in self.columns):
            return None
        names = [f"c{number}" for number in range(len(self.columns))]
        wanted = [column.expression.format(name) for name, column in zip(names, self.columns, strict=True)]
        # Arrow's lists have one dimension and no lower bound. The driver drops both, so they come along to be checked.
        for function in ("array_ndims({})", "array_lower({}, 1)"):
            wanted += [f"pg_catalog.{function.format(name)}" for name in self._arrays(names)]
        before = f"SELECT {', '.join(wanted)} FROM ("  # noqa: S608 - our own names and expressions
        return before, f"\n) AS queryengine ({', '.join(names)})"

    def _arrays(self, names: list[str]) -> list[str]:
        return [name for name, column in zip(names, self.columns, strict=True) if column.is_array]

    def apply(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        """Raises STATEMENT_REJECTED for a value that has no place in its column's type."""
        of_arrays = batch.columns[len(self.columns) :]
        count = len(of_arrays) // 2
        shapes = iter(zip(of_arrays[:count], of_arrays[count:], strict=True))
        arrays = []
        for column, array in zip(self.columns, batch.columns, strict=False):
            if column.is_array:
                _check_shape(column.field.name, *next(shapes))
            try:
                arrays.append(array if column.convert is None else column.convert(array))
            except (pa.ArrowInvalid, OverflowError) as cause:
                raise _misfit(column.field.name, str(cause), "CAST") from cause
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def plan(described: pa.Schema, name_of_type: Callable[[int], str]) -> Plan:
    """`name_of_type` asks the server for the name of a type that the driver does not know."""
    return Plan(tuple(_column(field, name_of_type) for field in described))


def _column(field: pa.Field, name_of_type: Callable[[int], str]) -> Column:
    metadata = field.metadata or {}
    internal = metadata.get(b"POSTGRESQL:type", b"").decode()
    typmod = int(metadata.get(b"POSTGRESQL:typmod", b"-1"))
    word = _word(internal, typmod, name_of_type)

    def column(kind: pa.DataType, expression: str, convert: Convert | None, *, is_array: bool = False) -> Column:
        return Column(
            pa.field(field.name, kind, metadata={b"engine_type": word.encode()}), expression, convert, is_array
        )

    # A vector, such as int2vector, is a list to the driver, but its type is no array.
    is_array = pa.types.is_list(field.type) and internal.startswith("_")
    inner = field.type.value_type if is_array else field.type
    element = _element(internal.removeprefix("_") if is_array else internal, inner, typmod)
    if not is_array:
        return column(element.type, element.expression, element.convert)
    if pa.types.is_struct(inner):
        return column(element.type, _COMPOSITE, _with_json)
    inside = "{0}" if element.expression == "{}" else "{0}::text[]"
    # The driver fails at most of the other lower bounds, with words that name no column.
    expression = f"CASE WHEN pg_catalog.array_lower({{0}}, 1) <> 1 THEN NULL ELSE {inside} END"
    target = pa.list_(element.type)
    convert = None if element.convert is None else _over_elements(element.convert, target)
    return column(target, expression, convert, is_array=True)


@dataclass(frozen=True, slots=True)
class _Element:
    """How one value is asked for, and what becomes of it."""

    type: pa.DataType
    expression: str = "{}"
    convert: Convert | None = None


def _element(internal: str, arrow: pa.DataType, typmod: int) -> _Element:
    if internal == "numeric":
        kind = _decimal(typmod)
        return _Element(kind, "{}::text", lambda array: _parsed(array, kind))
    if internal == "oid":
        # The driver takes it as signed.
        return _Element(pa.uint32(), convert=lambda array: array.view(pa.uint32()))
    if pa.types.is_time(arrow):
        return _Element(arrow, convert=lambda array: _within(array, pa.int64(), None, _DAY_MICROSECONDS - 1))
    if pa.types.is_date(arrow):
        return _Element(arrow, convert=lambda array: _within(array, pa.int32(), _EARLIEST_DAY, None))
    if pa.types.is_timestamp(arrow):
        return _Element(arrow, convert=lambda array: _within(array, pa.int64(), _EARLIEST_MICROSECOND, None))
    if pa.types.is_struct(arrow):
        has_array = any(map(_may_be_array, arrow.fields))
        return _Element(
            pa.json_(pa.string()),
            _COMPOSITE if has_array else "pg_catalog.to_json({})",
            _with_json if has_array else None,
        )
    is_opaque = isinstance(arrow, pa.OpaqueType) or pa.types.is_list(arrow)
    if is_opaque or internal in {"money", "char", "void"}:
        return _Element(pa.string(), "{}::text")
    return _Element(arrow)


def _may_be_array(field: pa.Field) -> bool:
    """Whether a member is or holds an array, as far as the driver knows."""
    kind = field.type
    if pa.types.is_struct(kind):
        return any(map(_may_be_array, kind.fields))
    return pa.types.is_list(kind) or isinstance(kind, pa.OpaqueType)


def _with_json(array: pa.Array) -> pa.Array:
    """The same array. Raises ArrowInvalid when the server found bounds in a value."""
    texts = array.storage if isinstance(array, pa.ExtensionArray) else array
    if pc.any(pc.equal(texts, _NO_JSON)).as_py():
        raise pa.ArrowInvalid("it holds an array that does not begin at 1, or a text like that, which JSON would lose")
    return array


def _word(internal: str, typmod: int, name_of_type: Callable[[int], str]) -> str:
    """The type as the server's documentation calls it."""
    if unknown := _UNKNOWN.fullmatch(internal):
        return name_of_type(int(unknown[1]))
    if internal.startswith("_"):
        return f"{_word(internal[1:], typmod, name_of_type)}[]"
    if internal == "numeric" and typmod != -1:
        return "numeric({},{})".format(*_digits(typmod))
    return _NAMES.get(internal, internal)


def _decimal(typmod: int) -> pa.DataType:
    if typmod == -1:
        # Without precision and scale, such as every sum and average of numeric.
        return UNBOUNDED
    precision, scale = _digits(typmod)
    if scale < 0:
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    if precision > _DIGITS_MAX:
        return UNBOUNDED
    return pa.decimal128(precision, scale) if precision <= _DIGITS128_MAX else pa.decimal256(precision, scale)


def _digits(typmod: int) -> tuple[int, int]:
    """Precision and scale. The scale has eleven bits and a sign."""
    packed = typmod - 4
    return packed >> 16 & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024


def _parsed(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Decimals of their texts. Raises ArrowInvalid when the type cannot hold one exactly."""
    try:
        return _cast(array, kind)
    except pa.ArrowInvalid:
        # Zeros at the end count as digits, of which round(1.5, 300) has 299.
        return _cast(pc.replace_substring_regex(array, r"(\.[0-9]*?)0+$", r"\1"), kind)


def _cast(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    # Arrow refuses what does not fit up to some 225 digits; beyond, it wraps around without a word.
    if (pc.max(pc.binary_length(texts)).as_py() or 0) > _DECIMAL_TEXT_MAX:
        raise pa.ArrowInvalid(f"a numeric of more than {_DIGITS_MAX} digits")
    return pc.cast(texts, kind)


def _within(array: pa.Array, number: pa.DataType, lowest: int | None, highest: int | None) -> pa.Array:
    """The same array. Raises ArrowInvalid when it holds what has no place in its type."""
    found = pc.min_max(array.view(number)).as_py()
    if found["min"] is None:
        return array
    if (lowest is not None and found["min"] < lowest) or (highest is not None and found["max"] > highest):
        raise pa.ArrowInvalid("infinity, or a value out of the range of its Arrow type")
    return array


def _check_shape(name: str, dimensions: pa.Array, lower: pa.Array) -> None:
    if (pc.max(dimensions).as_py() or 0) > 1:
        raise _misfit(name, "an array of several dimensions", "to_json()")
    bounds = pc.min_max(lower).as_py()
    if bounds["min"] not in {None, 1} or bounds["max"] not in {None, 1}:
        raise _misfit(name, "an array that does not begin at 1", "to_json()")


def _over_elements(convert: Convert, target: pa.DataType) -> Convert:
    def lists(array: pa.Array) -> pa.Array:
        return pa.ListArray.from_arrays(array.offsets, convert(array.values), type=target, mask=array.is_null())

    return lists


def _misfit(name: str, what: str, how: str) -> Exception:
    message = f"column {name!r}: {what}; {how} in the query settles it"
    return error(Reason.STATEMENT_REJECTED, message, column=name)
