"""DuckDB's types in the canonical Arrow types, without loss and without touching ordinary columns.

DuckDB exports most types well by default. Its lossless mode adds UUID, JSON and 128-bit integers, but turns
booleans into bytes, so it is switched on only for a result that needs it. Types without a canonical form
leave DuckDB as their own text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from queryengine.codec.infinity import INT64_MAX
from queryengine.codec.nesting import Plan, plan_inside
from queryengine.codec.wide_numbers import INT128, UINT128
from queryengine.domain.errors import Reason, error
from queryengine.engines.duckdb.intervals import checked
from queryengine.engines.duckdb.text import identifier

ROWS_MAX: Final = 122_880
"""A row group of DuckDB, and its fastest batch."""
ROWS_MIN: Final = 2_048
"""A vector of DuckDB: it holds no fewer rows than this at a time itself."""
_VECTORS: Final = ROWS_MAX // ROWS_MIN
_SHARES: Final = tuple(share for share in range(1, _VECTORS + 1) if _VECTORS % share == 0)
"""Into how many equal batches a row group can be cut. Any other number leaves a small rest in each."""
BATCH_BYTES: Final = 8 << 20
"""What a batch of rows as wide as their types suggest may take."""
TEXT_BYTES: Final = 128
DOCUMENT_BYTES: Final = 2_048
"""Guesses at a value of text, and at one of JSON, binary or nested data. They keep a batch of values 10
times as large within some tens of MiB.
"""

_TEXT_ONLY: Final = {"bit", "time with time zone", "bignum", "union", "enum"}
_LOSSLESS: Final = {"hugeint", "uhugeint", "uuid"}
_DOCUMENTS: Final = {
    "blob",
    "list",
    "array",
    "struct",
    "tuple",
    "map",
    "union",
    "variant",
    "geometry",
    "bit",
    "bignum",
}
_WIDE: Final = {"hugeint": INT128, "uhugeint": UINT128}


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """How the columns of one result are read."""

    projection: str | None
    """The select list that turns columns into text, or checks them; None when no column needs it."""
    lossless: bool
    """Whether DuckDB's lossless Arrow mode must be on."""
    batch_rows: int


def plan(types: Sequence[Any]) -> ColumnPlan:
    """The plan for columns of these DuckDB types."""
    columns = [f"#{number}" for number in range(1, len(types) + 1)]
    expressions = [_expression(each, column) for each, column in zip(types, columns, strict=True)]
    projection = ", ".join(expressions) if expressions != columns else None
    width = sum(_guessed_bytes(each) for each in types)
    # A batch that ends within a vector makes DuckDB copy both halves.
    shares = min(_SHARES, key=lambda share: abs(share - ROWS_MAX * width / BATCH_BYTES))
    return ColumnPlan(projection, any(_needs_lossless(each) for each in types), ROWS_MAX // shares)


def type_name(duckdb_type: Any) -> str:
    """DuckDB's own name of a type."""
    return str(duckdb_type).strip('"')


def canonical(arrow_type: pa.DataType) -> Plan:
    """The canonical type for one that DuckDB exports, and how to convert an array; None when it stays as it
    is.
    """
    if isinstance(arrow_type, pa.Bool8Type):
        return pa.bool_(), lambda array: pc.cast(array.storage, pa.bool_())
    if isinstance(arrow_type, pa.OpaqueType) and arrow_type.type_name in _WIDE:
        target = _WIDE[arrow_type.type_name]
        return target, lambda array: pa.ExtensionArray.from_storage(target, array.storage)
    if pa.types.is_timestamp(arrow_type) and arrow_type.unit == "ns":
        return arrow_type, _finite
    return plan_inside(arrow_type, lambda _, inner: canonical(inner))


def _expression(duckdb_type: Any, column: str) -> str:
    """What is selected of a column."""
    value = checked(duckdb_type, column)
    cast = _cast(duckdb_type)
    return f"CAST({value} AS {cast})" if cast else value


def _cast(duckdb_type: Any) -> str | None:
    """The SQL type that a column must be cast to, or None."""
    kind = duckdb_type.id
    if kind in _TEXT_ONLY:
        return "VARCHAR"
    if kind == "variant":
        return "JSON"
    if kind not in {"list", "array", "struct", "tuple", "map"}:
        return None
    parts = duckdb_type.children
    if kind == "list":
        inner = _cast(parts[0][1])
        return f"{inner}[]" if inner else None
    if kind == "array":
        inner = _cast(parts[0][1])
        return f"{inner}[{parts[1][1]}]" if inner else None
    casts = [_cast(each) for _, each in parts]
    if not any(casts):
        return None
    words = [cast or str(each) for cast, (_, each) in zip(casts, parts, strict=True)]
    if kind in {"map", "tuple"}:
        return f"{kind.upper()}({', '.join(words)})"
    members = ", ".join(f"{identifier(name)} {word}" for (name, _), word in zip(parts, words, strict=True))
    return f"STRUCT({members})"


def _children(duckdb_type: Any) -> list[Any]:
    if duckdb_type.id in {"list", "array"}:
        return [duckdb_type.children[0][1]]
    if duckdb_type.id in {"struct", "tuple", "map"}:
        return [each for _, each in duckdb_type.children]
    return []


def _needs_lossless(duckdb_type: Any) -> bool:
    if duckdb_type.id in _LOSSLESS or duckdb_type.id == "variant" or str(duckdb_type) == "JSON":
        return True
    return any(_needs_lossless(each) for each in _children(duckdb_type))


def _guessed_bytes(duckdb_type: Any) -> int:
    if duckdb_type.id in _DOCUMENTS or str(duckdb_type) == "JSON":
        return DOCUMENT_BYTES
    return TEXT_BYTES if duckdb_type.id == "varchar" else 16


def _finite(array: pa.Array) -> pa.Array:
    """Raises STATEMENT_REJECTED for infinity: other engines have a moment of the year 2262 in its place."""
    if pc.any(pc.equal(pc.abs(array.view(pa.int64())), INT64_MAX)).as_py():
        message = "infinity as a TIMESTAMP_NS has no place in the result; select it as a TIMESTAMP"
        raise error(Reason.STATEMENT_REJECTED, message)
    return array
