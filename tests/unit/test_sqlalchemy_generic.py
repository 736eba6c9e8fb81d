"""The generic dialect without a database: what it says of URLs, values and types."""

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.databases import SQLAlchemyEngine
from queryengine.engines.sqlalchemy.columns import BatchReader
from queryengine.engines.sqlalchemy.generic import _column
from queryengine.engines.sqlalchemy.parsed import check


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql+pymysql://user:hunter2@host/db", "pymysql.*pip install"),
        ("oracle+oracledb://user:hunter2@host/db", "oracledb.*pip install"),
        ("nosuch://user:hunter2@host/db", "no dialect 'nosuch'"),
        ("mysql+nosuch://user:hunter2@host/db", "no dialect 'mysql"),
    ],
)
def test_a_missing_driver_is_named_without_the_password(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        SQLAlchemyEngine.traits({"url": url})
    assert "'url'" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def batch(values: list[Any], later: list[Any] = ()) -> pa.Array:
    column = _column("v", values)
    schema = pa.schema([column.field()])
    rows = [(value,) for value in [*values, *later]]
    return BatchReader(lambda _: []).batch(rows, (column,), schema).column(0)


@pytest.mark.parametrize(
    ("values", "arrow"),
    [
        ([True, None], pa.bool_()),
        ([1, None, -(2**63)], pa.int64()),
        ([1, 0.5], pa.float64()),
        ([Decimal("1.50"), 2, None], pa.decimal256(76, 38)),
        ([dt.date(2024, 2, 29), None], pa.date32()),
        ([dt.time(12, 30), None], pa.time64("us")),
        ([dt.timedelta(days=-1, microseconds=1), None], pa.duration("us")),
        ([dt.datetime(2024, 2, 29, 12), None], pa.timestamp("us")),  # noqa: DTZ001 - wall-clock time
        ([dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
        ([uuid.UUID(int=7), None], pa.uuid()),
        ([b"\x00", None], pa.binary()),
        ([None, None], pa.null()),
    ],
)
def test_values_keep_their_kind(values: list[Any], arrow: pa.DataType) -> None:
    array = batch(values)
    array.validate(full=True)
    assert array.type == arrow
    assert array.to_pylist() == values


def test_octets_and_documents() -> None:
    assert batch([memoryview(b"\x00\xff")]).to_pylist() == [b"\x00\xff"]
    assert batch([{"a": [1, None]}, [1]]).to_pylist() == ['{"a": [1, null]}', "[1]"]


@pytest.mark.parametrize(
    ("values", "later"),
    [
        ([1], [2**63]),
        ([1], [True]),
        ([Decimal(1)], [Decimal("NaN")]),
        ([Decimal(1)], [0.5]),
        ([dt.date(2024, 1, 1)], [dt.datetime(2024, 1, 1, 12)]),  # noqa: DTZ001 - wall-clock time
        ([dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)], [dt.datetime(2024, 1, 1, 12)]),  # noqa: DTZ001
        ([None], [1]),
    ],
)
def test_a_value_that_does_not_fit_later_is_refused(values: list[Any], later: list[Any]) -> None:
    with pytest.raises(QueryEngineError) as caught:
        batch(values, later)
    assert caught.value.failure.reason is Reason.STATEMENT_REJECTED
    assert "CAST" in caught.value.failure.message


@pytest.mark.parametrize("values", [[1, "a"], [{1, 2}], [object()]])
def test_values_without_a_type_are_refused_with_the_columns_name(values: list[Any]) -> None:
    with pytest.raises(QueryEngineError, match="'v'"):
        batch(values)


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("mysql", "SELECT a FROM t WHERE WHERE b"),
        ("mysql", "HANDLER t OPEN"),
        ("postgres", "SELECT a FROM t ORDER BY a USING >"),
        ("tsql", "SELECT a FROM t FOR SYSTEM_TIME NOWHERE ALL ("),
    ],
)
def test_a_refusal_says_that_the_gateway_does_not_know_it(dialect: str, sql: str) -> None:
    with pytest.raises(QueryEngineError) as caught:
        check(sql, dialect)
    failure = caught.value.failure
    assert failure.reason is Reason.SYNTAX_ERROR
    assert "the gateway's own parser, not the database" in failure.message
    assert "<class" not in failure.message
    assert failure.position is not None


def test_placeholders_are_cut_out() -> None:
    found = check("SELECT :a, ':b', x::int, v[1:a] -- :c", "postgres")
    assert found.placeholders == {"a"}
    assert found.template.filled({"a": "?"}).sql == "SELECT ?, ':b', x::int, v[1:a]"
