"""Wide numbers keep every digit or fail the query by name, nested or not, whatever part of memory they begin in."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from queryengine.codec.wide_numbers import INT128, INT256, UINT128, UINT256, UNBOUNDED, carried
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.submission import WideIntegers

FAIL, STRING, DECIMAL256 = WideIntegers.FAIL, WideIntegers.STRING, WideIntegers.DECIMAL256
DIGITS38 = 10**38 - 1
SMALL = [0, 1, -1, 2**64, -(2**64) - 5, DIGITS38, -DIGITS38, None]


def integers(kind: pa.DataType, values: Sequence[int | None]) -> pa.Array:
    """As an adapter yields them; what stands where a NULL is has any bytes."""
    octets, signed = kind.storage_type.byte_width, kind in {INT128, INT256}
    made = [b"\xff" * octets if each is None else each.to_bytes(octets, "little", signed=signed) for each in values]
    valid = pa.array([each is not None for each in values])
    storage = pa.Array.from_buffers(pa.binary(octets), len(values), [valid.buffers()[1], pa.py_buffer(b"".join(made))])
    return pa.ExtensionArray.from_storage(kind, storage)


def decimals(kind: pa.DataType, values: Sequence[str | None]) -> pa.Array:
    return pa.array([None if each is None else Decimal(each) for each in values], kind)


def read(arrays: Sequence[pa.Array], how: WideIntegers) -> pa.ChunkedArray:
    schema = pa.schema([("n", arrays[0].type)])
    batches = iter([pa.RecordBatch.from_arrays([array], schema=schema) for array in arrays])
    table = pa.Table.from_batches(*reversed(carried(schema, batches, how)))
    table.validate(full=True)
    return table.column(0)


def refused(array: pa.Array, how: WideIntegers) -> str:
    with pytest.raises(QueryEngineError) as caught:
        read([array], how)
    failure = caught.value.failure
    assert failure.reason is Reason.STATEMENT_REJECTED
    assert failure.metadata == {"column": "n", "wide_integers": how.value}
    return failure.message


@pytest.mark.parametrize("offset", [0, 1, 5])
@pytest.mark.parametrize(
    ("kind", "how", "arrow", "beyond"),
    [
        (INT128, FAIL, "decimal128(38, 0)", []),
        (UINT128, FAIL, "decimal128(38, 0)", []),
        (INT256, FAIL, "decimal128(38, 0)", []),
        (UINT256, FAIL, "decimal128(38, 0)", []),
        (INT128, DECIMAL256, "decimal256(39, 0)", [2**127 - 1, -(2**127)]),
        (UINT128, DECIMAL256, "decimal256(39, 0)", [2**127, 2**128 - 1]),
        (INT256, DECIMAL256, "decimal256(76, 0)", [10**76 - 1, 1 - 10**76]),
        (UINT256, DECIMAL256, "decimal256(76, 0)", [10**76 - 1]),
        (INT128, STRING, "string", [2**127 - 1, -(2**127)]),
        (UINT128, STRING, "string", [2**127, 2**128 - 1]),
        (INT256, STRING, "string", [2**255 - 1, -(2**255)]),
        (UINT256, STRING, "string", [2**255, 2**256 - 1]),
    ],
)
def test_integers_keep_every_digit(
    kind: pa.DataType, how: WideIntegers, arrow: str, beyond: list[int], offset: int
) -> None:
    is_signed = kind in {INT128, INT256}
    values = [each for each in [*SMALL, *beyond, 7] if is_signed or each is None or each >= 0]
    found = read([integers(kind, values)[offset:]], how)
    assert str(found.type) == arrow
    assert [None if each is None else int(each) for each in found.to_pylist()] == values[offset:]


@pytest.mark.parametrize(
    ("kind", "how", "value"),
    [
        (INT128, FAIL, DIGITS38 + 1),
        (INT128, FAIL, -DIGITS38 - 1),
        (INT128, FAIL, 2**127 - 1),
        (INT128, FAIL, -(2**127)),
        (UINT128, FAIL, DIGITS38 + 1),
        (UINT128, FAIL, 2**127),
        (UINT128, FAIL, 2**128 - 1),
        (INT256, FAIL, DIGITS38 + 1),
        (INT256, FAIL, -(2**255)),
        (UINT256, FAIL, 2**255),
        (UINT256, FAIL, 2**256 - 1),
        (INT256, DECIMAL256, 10**76),
        (INT256, DECIMAL256, -(10**76)),
        (UINT256, DECIMAL256, 10**76),
        (UINT256, DECIMAL256, 2**256 - 1),
    ],
)
def test_an_integer_of_too_many_digits_is_refused(kind: pa.DataType, how: WideIntegers, value: int) -> None:
    message = refused(integers(kind, [1, None, value]), how)
    assert "'n'" in message
    assert 'wide_integers "string"' in message
    assert ('"decimal256"' in message) == (how is FAIL)


@pytest.mark.parametrize(
    ("kind", "how", "values", "arrow", "found"),
    [
        # A scale of its own stays, whatever the values.
        (pa.decimal256(60, 10), FAIL, ["1.5", None], "decimal128(38, 10)", ["1.5000000000", None]),
        (pa.decimal256(60, 50), FAIL, ["0.25"], "decimal128(38, 38)", [f"0.25{'0' * 36}"]),
        (pa.decimal256(60, 10), STRING, ["1.5", None], "string", ["1.5000000000", None]),
        (pa.decimal256(60, 10), DECIMAL256, ["1.5"], "decimal256(60, 10)", ["1.5000000000"]),
        # Without one: the usual scale, or the nearest that the first rows need.
        (UNBOUNDED, FAIL, ["3.35", None], "decimal128(38, 20)", [f"3.35{'0' * 18}", None]),
        (UNBOUNDED, FAIL, [None], "decimal128(38, 20)", [None]),
        (UNBOUNDED, FAIL, [], "decimal128(38, 20)", []),
        (UNBOUNDED, FAIL, ["0"], "decimal128(38, 20)", [f"0.{'0' * 20}"]),
        (UNBOUNDED, FAIL, [f"{10**18}"], "decimal128(38, 19)", [f"{10**18}.{'0' * 19}"]),
        (UNBOUNDED, FAIL, [f"-{DIGITS38}"], "decimal128(38, 0)", [f"-{DIGITS38}"]),
        (UNBOUNDED, FAIL, [f"0.{'0' * 24}33"], "decimal128(38, 26)", [f"0.{'0' * 24}33"]),
        (UNBOUNDED, FAIL, [f"0.{'3' * 38}"], "decimal128(38, 38)", [f"0.{'3' * 38}"]),
        (UNBOUNDED, FAIL, ["12345678.5", f"0.{'3' * 22}"], "decimal128(38, 22)", None),
        (UNBOUNDED, STRING, ["3.350", "100", "-0.0000001", None], "string", ["3.35", "100", "-0.0000001", None]),
        (UNBOUNDED, DECIMAL256, ["3.35"], "decimal256(76, 38)", [f"3.35{'0' * 36}"]),
    ],
)
def test_decimals_keep_every_digit(
    kind: pa.DataType, how: WideIntegers, values: list[str | None], arrow: str, found: list[str | None] | None
) -> None:
    column = read([decimals(kind, values)], how)
    assert str(column.type) == arrow
    texts = [
        None if each is None else format(each, "f") if isinstance(each, Decimal) else each
        for each in column.to_pylist()
    ]
    assert texts == found if found is not None else list(map(Decimal, texts)) == list(map(Decimal, values))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.decimal256(60, 10), [f"{10**28}"]),
        (pa.decimal256(60, 50), ["1"]),
        (pa.decimal256(60, 50), [f"0.{'0' * 38}1"]),
        (UNBOUNDED, [f"{10**38 - 1}", "0.5"]),
        (UNBOUNDED, [f"{10**20}", f"0.{'3' * 19}"]),
    ],
)
def test_a_decimal_of_too_many_digits_is_refused(kind: pa.DataType, values: list[str]) -> None:
    refused(decimals(kind, values), FAIL)


def test_a_later_row_that_needs_another_scale_is_refused() -> None:
    first, later = decimals(UNBOUNDED, ["3.35"]), decimals(UNBOUNDED, [f"0.{'3' * 21}"])
    assert len(read([first, first], FAIL)) == 2
    with pytest.raises(QueryEngineError, match="column 'n'"):
        read([first, later], FAIL)


NESTED: dict[str, Callable[[pa.Array], pa.Array]] = {
    "list": lambda inner: pa.ListArray.from_arrays([0, 0, 2, None, 3], inner),
    "large list": lambda inner: pa.LargeListArray.from_arrays([0, 0, 2, None, 3], inner),
    "fixed size list": lambda inner: pa.FixedSizeListArray.from_arrays(inner, 1, mask=pa.array([False, True, False])),
    "struct": lambda inner: pa.StructArray.from_arrays(
        [inner, pa.array([1, 2, 3])], ["w", "i"], mask=pa.array([False, True, False])
    ),
    "map": lambda inner: pa.MapArray.from_arrays([0, 0, 2, None, 3], pa.array(["a", "b", "c"]), inner),
    "list of struct": lambda inner: pa.ListArray.from_arrays([0, 2, 3], pa.StructArray.from_arrays([inner], ["w"])),
}


def plain(value: Any) -> Any:
    match value:
        case list() | tuple():
            return [plain(each) for each in value]
        case dict():
            return {name: plain(each) for name, each in value.items()}
        case Decimal() | int():
            return format(Decimal(value).normalize(), "f")
        case _:
            return value


@pytest.mark.parametrize("offset", [0, 1, 2])
@pytest.mark.parametrize("how", list(WideIntegers))
@pytest.mark.parametrize("nesting", NESTED)
def test_numbers_inside_of_others(nesting: str, how: WideIntegers, offset: int) -> None:
    values = [2**70, None, -5]
    expected = NESTED[nesting](pa.array(values, pa.decimal128(38, 0)))[offset:].to_pylist()
    for inner in (integers(INT128, values), integers(INT256, values), decimals(UNBOUNDED, [str(2**70), None, "-5"])):
        found = read([NESTED[nesting](inner)[offset:]], how)
        assert plain(found.to_pylist()) == plain(expected)


def test_other_columns_are_left_alone() -> None:
    batch = pa.record_batch({"a": [1, 2], "d": pa.array([Decimal("1.5")] * 2), "s": [{"x": 1}] * 2})
    batches = iter([batch])
    assert carried(batch.schema, batches, FAIL) == (batch.schema, batches)


def test_metadata_stays() -> None:
    field = pa.field("n", INT128, nullable=False, metadata={"engine_type": "HUGEINT"})
    schema, _ = carried(pa.schema([field]), iter([]), FAIL)
    assert schema.field(0).metadata == field.metadata
    assert not schema.field(0).nullable
