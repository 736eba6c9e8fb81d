"""Values that DuckDB's client would change on their way in, and those that it changes on their way to Arrow."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.duckdb.engine import DuckDBEngine
from tests.executing import table


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine("test", {})
    yield engine
    engine.close()


def run(engine: DuckDBEngine, sql: str, value: Any = None, kind: pa.DataType | None = None) -> pa.Table:
    parameters = (BoundParameter("a", value, kind),) if "$a" in sql else ()
    return table(engine, sql, parameters=parameters)


@pytest.mark.parametrize(
    ("value", "kind", "name", "text"),
    [
        (Decimal("1E-38"), None, "DECIMAL(38,38)", f".{'0' * 37}1"),
        (Decimal("1E-38"), pa.decimal128(38, 38), "DECIMAL(38,38)", f".{'0' * 37}1"),
        (Decimal("1.230"), pa.decimal128(5, 2), "DECIMAL(5,2)", "1.23"),
        (Decimal("1E+30"), None, "DECIMAL(31,0)", f"1{'0' * 30}"),
        ([Decimal("1.5")], pa.list_(pa.decimal128(5, 2)), "DECIMAL(5,2)[]", "[1.50]"),
        (2**128 - 1, pa.decimal256(39, 0), "UHUGEINT", str(2**128 - 1)),
        (dt.datetime(2020, 1, 1, 0, 0, 0, 1, dt.UTC), pa.timestamp("ns", "UTC"), "TIMESTAMP WITH TIME ZONE", None),
        (dt.time(1, 2, 3, 4), pa.time64("ns"), "TIME_NS", "01:02:03.000004"),
        (pa.scalar(10**6, pa.timestamp("ns")), pa.timestamp("ns"), "TIMESTAMP_NS", "1970-01-01 00:00:00.001"),
    ],
)
def test_a_value_arrives_as_duckdbs_type_for_it(
    engine: DuckDBEngine, value: Any, kind: pa.DataType | None, name: str, text: str | None
) -> None:
    row = run(engine, "SELECT typeof($a) AS type, CAST($a AS VARCHAR) AS text", value, kind).to_pylist()[0]
    assert row["type"] == name
    assert text is None or row["text"] == text


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (pa.scalar(2**63 - 1, pa.timestamp("us", "UTC")), pa.timestamp("us", "UTC")),
        (pa.scalar(-(2**63), pa.timestamp("us", "UTC")), pa.timestamp("us", "UTC")),
        (pa.scalar(1, pa.timestamp("ns", "UTC")), pa.timestamp("ns", "UTC")),
        (pa.scalar(2**63 - 1, pa.timestamp("ns")), pa.timestamp("ns")),
        (pa.scalar(2**31 - 1, pa.int32()).cast(pa.date32()), pa.date32()),
        ([pa.scalar(-(2**31) + 1, pa.int32()).cast(pa.date32())], pa.list_(pa.date32())),
        (pa.scalar(2**62, pa.timestamp("s")), pa.timestamp("s")),
        (pa.scalar(2**62, pa.duration("s")), pa.duration("s")),
        (pa.MonthDayNano([0, 0, 1]), None),
        ([2**128 - 1], pa.list_(pa.decimal256(39, 0))),
        (Decimal(10**50), pa.decimal256(60, 0)),
        ([Decimal("1E-38")], None),
        ({}, pa.struct([])),
        ([{}], pa.list_(pa.struct([]))),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_value_without_an_exact_place_is_refused(engine: DuckDBEngine, value: Any, kind: pa.DataType | None) -> None:
    with pytest.raises(QueryEngineError) as caught:
        run(engine, "SELECT $a AS a", value, kind)
    assert caught.value.failure.reason is Reason.PARAMETER_MISMATCH
    assert caught.value.failure.metadata == {"parameter": "a"}


def test_an_interval_that_would_wrap_on_its_way_to_arrow_is_refused(engine: DuckDBEngine) -> None:
    for micros in (9223372036854775807, -9223372036854775807, 9223372036854776):
        with pytest.raises(QueryEngineError, match="CAST it to VARCHAR") as caught:
            run(engine, f"SELECT 1 AS n, to_microseconds({micros}) AS i")
        assert caught.value.failure.reason is Reason.STATEMENT_REJECTED
        assert run(engine, f"SELECT CAST(to_microseconds({micros}) AS VARCHAR) AS i").num_rows == 1
    held = (2**63 - 1) // 1000
    table = run(engine, f"SELECT to_microseconds({held}) AS i, to_microseconds(-{held}) AS j, NULL::INTERVAL AS k")
    values = [pa.MonthDayNano([0, 0, held * 1000]), pa.MonthDayNano([0, 0, -held * 1000]), None]
    assert [column[0].as_py() for column in table.columns] == values


NESTED = {
    "a list": "[{0}]",
    "a list of lists": "[[], NULL, [NULL, {0}]]",
    "an array": "[{0}, NULL]::INTERVAL[2]",
    "a struct": "{{'i': {0}, 'n': 1}}",
    "a struct of odd names": "{{'{{0}} ''x'' \"y\"': {0}}}",
    "a struct in a struct": "{{'s': {{'i': {0}}}}}",
    "a row": "row(1, {0})",
    "values of a map": "map {{'k': {0}}}",
    "keys of a map": "map {{{0}: 1}}",
    "structs in a list": "[NULL, {{'i': NULL, 'j': {0}}}]",
    "lists in a map": "map {{1: [{{'i': {0}}}]}}",
    "beside what becomes text": "{{'i': {0}, 'e': 'a'::ENUM ('a', 'b')}}",
}


@pytest.mark.parametrize("shape", NESTED.values(), ids=NESTED)
def test_an_interval_that_would_wrap_is_refused_at_any_depth(engine: DuckDBEngine, shape: str) -> None:
    held = (2**63 - 1) // 1000
    for micros in (held + 1, -held - 1, 9223372036854775807):
        value = shape.format(f"to_microseconds({micros})")
        with pytest.raises(QueryEngineError, match="CAST it to VARCHAR") as caught:
            run(engine, f"SELECT 1 AS n, {value} AS i FROM range(3)")
        assert caught.value.failure.reason is Reason.STATEMENT_REJECTED
    for micros in (held, -held, 0):
        value = shape.format(f"to_microseconds({micros})")
        table = run(engine, f"SELECT {value} AS i FROM range(3) UNION ALL SELECT NULL")
        assert (table.num_rows, table.column("i").null_count) == (4, 1)
        assert str(pa.MonthDayNano([0, 0, micros * 1000])) in str(table.column("i")[0].as_py())
