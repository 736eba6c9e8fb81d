"""Parameters of Spark, against a real server: which values they are there, and which of them Spark cannot take."""

import datetime as dt
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.base import Statement
from queryengine.engines.spark.engine import SparkEngine
from tests.servers.server import shared
from tests.servers.spark import SparkServer

UUID = uuid.UUID(int=7)


@pytest.fixture(scope="module")
def engine() -> Iterator[SparkEngine]:
    engine = SparkEngine("mine", shared(SparkServer).options())
    yield engine
    engine.close()


def read(engine: SparkEngine, sql: str, *parameters: BoundParameter) -> list[dict[str, Any]]:
    with engine.open(Statement(sql=sql, query_id="q", parameters=parameters)) as execution:
        schema = execution.start()
        return pa.Table.from_batches(execution.batches(), schema).to_pylist()


@pytest.mark.parametrize(
    ("given", "arrow", "name", "wanted"),
    [
        ([], None, "array<void>", []),
        ([], pa.list_(pa.int64()), "array<void>", []),
        ([], pa.list_(pa.null()), "array<void>", []),
        ([], pa.list_(pa.uuid()), "array<void>", []),
        ([[]], None, "array<array<void>>", [[]]),
        ([[], [1]], None, "array<array<bigint>>", [[], [1]]),
        ([None], None, "array<void>", [None]),
        ([], pa.map_(pa.string(), pa.int32()), "map<void,void>", []),
        ([("k", [])], pa.map_(pa.string(), pa.list_(pa.date32())), "map<string,array<void>>", [("k", [])]),
        ({}, None, "struct<>", {}),
        ({"a": [], "b": None}, None, "struct<a:array<void>,b:void>", {"a": [], "b": None}),
        (None, pa.list_(pa.int32()), "void", None),
        ([UUID], pa.list_(pa.uuid()), "array<string>", [str(UUID)]),
        ({"u": UUID}, pa.struct([("u", pa.uuid())]), "struct<u:string>", {"u": str(UUID)}),
        ([("k", "{}")], pa.map_(pa.string(), pa.json_()), "map<string,string>", [("k", "{}")]),
        (pa.MonthDayNano([-15, 0, 0]), None, "interval year to month", pa.MonthDayNano([-15, 0, 0])),
        ([pa.MonthDayNano([3, 0, 0])], None, "array<interval month>", [pa.MonthDayNano([3, 0, 0])]),
        (dt.timedelta(days=-1, microseconds=1), None, "interval day to second", dt.timedelta(days=-1, microseconds=1)),
    ],
    ids=str,
)
def test_a_parameter_comes_back_as_it_was_given(
    engine: SparkEngine, given: Any, arrow: pa.DataType | None, name: str, wanted: Any
) -> None:
    (row,) = read(engine, "SELECT :p AS v, typeof(:p) AS t", BoundParameter("p", given, arrow))
    assert row == {"v": wanted, "t": name}


def test_an_empty_list_takes_the_type_that_its_place_asks_for(engine: SparkEngine) -> None:
    sql = "SELECT array_contains(:p, 1) AS c, concat(:p, array(1)) AS j, CAST(:p AS ARRAY<DATE>) AS d, size(:p) AS s"
    wanted = {"c": False, "j": [1], "d": [], "s": 0}
    assert read(engine, sql, BoundParameter("p", [], pa.list_(pa.int32()))) == [wanted]


@pytest.mark.parametrize(
    "given",
    [pa.MonthDayNano([1, 1, 0]), [pa.MonthDayNano([1, 0, 1000])], pa.MonthDayNano([0, 0, 1]), Decimal("1E-39")],
    ids=str,
)
def test_what_spark_cannot_hold_is_refused(engine: SparkEngine, given: Any) -> None:
    with pytest.raises(QueryEngineError) as caught:
        read(engine, "SELECT :p", BoundParameter("p", given))
    assert caught.value.failure.reason is Reason.PARAMETER_MISMATCH
    assert caught.value.failure.metadata == {"parameter": "p"}
