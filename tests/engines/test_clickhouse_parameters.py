"""What a typed placeholder of ClickHouse cannot hold exactly is refused; everything else arrives as it was sent."""

import datetime as dt
import math
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.submission import WideIntegers
from queryengine.engines.base import Statement
from queryengine.engines.clickhouse.engine import ClickHouseEngine
from tests.carrying import table_of
from tests.servers.clickhouse import ClickHouseServer
from tests.servers.server import shared

UTC = dt.UTC


def wall(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # noqa: DTZ001 - wall-clock time has no zone


BITS = (8, 16, 32, 64, 128, 256)
SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def engine() -> Iterator[ClickHouseEngine]:
    engine = ClickHouseEngine("ch", shared(ClickHouseServer).options())
    yield engine
    engine.close()


def named(each: Any) -> str:
    return type(each).__name__ if isinstance(each, pa.Scalar) else str(each)[:40]


def read(engine: ClickHouseEngine, expression: str, value: Any) -> Any:
    parameters = (BoundParameter("a", value),)
    with engine.open(Statement(sql=f"SELECT {expression}", query_id="q", parameters=parameters)) as execution:
        return table_of(execution, WideIntegers.STRING).column(0)[0].as_py()


def text_of(engine: ClickHouseEngine, kind: str, value: Any) -> Any:
    return read(engine, f"toString({{a:{kind}}})", value)


def refusal(engine: ClickHouseEngine, kind: str, value: Any) -> str:
    with pytest.raises(QueryEngineError) as caught:
        text_of(engine, kind, value)
    failure = caught.value.failure
    assert failure.reason is Reason.PARAMETER_MISMATCH, failure
    assert failure.metadata == {"parameter": "a"}
    assert failure.message.startswith("parameter a: ")
    return failure.message


def integer_range(kind: str, bits: int) -> tuple[int, int]:
    return (0, 2**bits - 1) if kind == "UInt" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("kind", ["Int", "UInt"])
def test_integers_hold_their_range_and_no_more(engine: ClickHouseEngine, kind: str, bits: int) -> None:
    lowest, highest = integer_range(kind, bits)
    for value in (lowest, highest, 0):
        assert text_of(engine, f"{kind}{bits}", value) == str(value)
        assert text_of(engine, f"Array({kind}{bits})", [value]) == f"[{value}]"
    for value in (lowest - 1, highest + 1, str(highest + 1), Decimal(highest + 1), Decimal("0.5"), math.nan, math.inf):
        refusal(engine, f"{kind}{bits}", value)
        refusal(engine, f"Array({kind}{bits})", [0, value])
    message = refusal(engine, f"{kind}{bits}", highest + 1)
    assert f"{kind}{bits}" in message
    assert str(lowest) in message
    assert str(highest) in message


SHAPES = {
    "Nullable({})": lambda value: value,
    "LowCardinality({})": lambda value: value,
    "Array({})": lambda value: [value],
    "Array(Array(Nullable({})))": lambda value: [[None, value]],
    "Map(String, {})": lambda value: [("k", value)],
    "Map({}, String)": lambda value: [(value, "v")],
    "Tuple(m {})": lambda value: {"m": value},
    "Tuple({}, String)": lambda value: [value, "s"],
    "Array(Tuple(x Map(String, Array({}))))": lambda value: [{"x": [("k", [value])]}],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_value_inside_of_others_is_compared_with_its_type_too(engine: ClickHouseEngine, shape: str) -> None:
    assert "200" in text_of(engine, shape.format("UInt8"), SHAPES[shape](200))
    for value in (300, -1, "300", Decimal("1.5")):
        refusal(engine, shape.format("UInt8"), SHAPES[shape](value))


@pytest.mark.parametrize(
    "shape", [each for each in SHAPES if not each.startswith("Nullable") and "(Nullable" not in each]
)
def test_null_is_refused_where_the_type_holds_none(engine: ClickHouseEngine, shape: str) -> None:
    assert "NULL" in refusal(engine, shape.format("UInt8"), SHAPES[shape](None))


HELD = [
    ("Bool", True, "true"),
    ("Bool", 0, "false"),
    ("Float32", 3.4028234663852886e38, "3.4028235e38"),
    ("Float32", 16777216, "16777216"),
    ("Float32", math.nan, "nan"),
    ("Float32", -math.inf, "-inf"),
    ("Float32", 0.1, "0.1"),
    ("Float64", -0.0, "-0"),
    ("Float64", 5e-324, "5e-324"),
    ("Float64", 2**53, "9007199254740992"),
    ("Decimal(5, 2)", Decimal("999.99"), "999.99"),
    ("Decimal(5, 2)", Decimal("1.500"), "1.5"),
    ("Decimal(5, 5)", Decimal("-0.99999"), "-0.99999"),
    ("Decimal32(2)", 9_999_999, "9999999"),
    ("Decimal(76, 0)", 10**76 - 1, str(10**76 - 1)),
    ("Date", dt.date(1970, 1, 1), "1970-01-01"),
    ("Date", dt.date(2149, 6, 6), "2149-06-06"),
    ("Date32", dt.date(1900, 1, 1), "1900-01-01"),
    ("Date32", dt.date(2299, 12, 31), "2299-12-31"),
    ("DateTime('UTC')", wall(1970, 1, 1), "1970-01-01 00:00:00"),
    ("DateTime('UTC')", dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "1970-01-01 00:00:01"),
    ("DateTime('UTC')", dt.datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC), "2106-02-07 06:28:15"),
    ("DateTime('Asia/Tokyo')", wall(1970, 1, 1, 9), "1970-01-01 09:00:00"),
    ("DateTime64(3, 'UTC')", wall(2020, 1, 1, 0, 0, 0, 123000), "2020-01-01 00:00:00.123"),
    ("DateTime64(6, 'UTC')", dt.datetime(1969, 12, 31, 23, 59, 59, 500000, tzinfo=UTC), "1969-12-31 23:59:59.500000"),
    ("DateTime64(1, 'Asia/Tokyo')", dt.datetime(1969, 12, 31, 23, 59, 59, 900000, UTC), "1970-01-01 08:59:59.9"),
    ("DateTime64(9, 'UTC')", dt.datetime(1677, 9, 21, 0, 12, 44, tzinfo=UTC), "1677-09-21 00:12:44.000000000"),
    ("DateTime64(9, 'UTC')", pa.scalar(-1, pa.timestamp("ns", "UTC")), "1969-12-31 23:59:59.999999999"),
    ("DateTime64(3, 'UTC')", "2020-01-01T01:00:00.5+01:00", "2020-01-01 00:00:00.500"),
    ("Time", dt.time(23, 59, 59), "23:59:59"),
    ("FixedString(2)", "é", "é"),
    ("Enum8('a' = 1, 'b' = -2)", -2, "b"),
    ("Enum('it''s', 'b')", "it's", "it's"),
    ("UUID", uuid.UUID(int=1), str(uuid.UUID(int=1))),
    ("IPv4", "255.255.255.255", "255.255.255.255"),
    ("IPv6", "::1", "::1"),
    ("String", dt.datetime(2020, 1, 1, 0, 0, 0, 123456, UTC), "2020-01-01 00:00:00.123456000Z"),
    ("JSON", '{"a":18446744073709551615}', '{"a":18446744073709551615}'),
    ("BIGINT", 2**63 - 1, str(2**63 - 1)),
    ("Point", [1.5, -2.0], "(1.5,-2)"),
]


@pytest.mark.parametrize(("kind", "value", "text"), HELD, ids=named)
def test_what_a_type_holds_arrives(engine: ClickHouseEngine, kind: str, value: Any, text: str) -> None:
    assert text_of(engine, kind, value) == text
    if kind not in {"JSON", "Point"}:
        nested = read(engine, f"toString(({{a:Array({kind})}} AS l)[1])", [value])
        assert nested == text


REFUSED = [
    ("Bool", 2),
    ("Bool", "yes"),
    ("Bool", 1.0),
    ("Float32", 1e300),
    ("Float32", 1e-60),
    ("Float32", 2**24 + 1),
    ("Float64", 2**53 + 1),
    ("Float64", 2**1024),
    ("Float64", Decimal("1e400")),
    ("Float64", "1e400"),
    ("FLOAT", -1e39),
    ("Decimal(5, 2)", Decimal("999.995")),
    ("Decimal(5, 2)", Decimal(1000)),
    ("Decimal(5, 2)", 1.239),
    ("Decimal(5, 2)", "1.239"),
    ("Decimal(5, 2)", math.nan),
    ("Decimal(9)", Decimal("1.5")),
    ("DECIMAL", Decimal("1.5")),
    ("Decimal32(2)", Decimal("1.239")),
    ("Decimal64(3)", 10**15),
    ("Decimal(76, 0)", 10**76),
    ("Date", dt.date(1969, 12, 31)),
    ("Date", dt.date(2149, 6, 7)),
    ("Date", "2149-06-07"),
    ("Date", "2020-02-30"),
    ("Date", wall(2020, 1, 1, 5)),
    ("Date32", "2020-02-30"),
    ("Date32", "2020-13-01"),
    ("Date32", pa.scalar(2**31 - 1, pa.int32()).cast(pa.date32())),
    ("DateTime('UTC')", dt.datetime(2200, 1, 1, tzinfo=UTC)),
    ("DateTime('UTC')", dt.datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC)),
    ("DateTime('UTC')", wall(2106, 2, 7, 6, 28, 16)),
    ("DateTime('UTC')", dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ("DateTime('UTC')", wall(1969, 12, 31, 23, 59, 59)),
    ("DateTime('UTC')", wall(2020, 1, 1, 0, 0, 0, 1)),
    ("DateTime('UTC')", "2020-02-30 00:00:00"),
    ("DateTime('Asia/Tokyo')", wall(1970, 1, 1, 8, 59, 59)),
    ("DateTime('Europe/Berlin')", wall(2024, 3, 31, 2, 30)),
    ("TIMESTAMP", wall(2200, 1, 1)),
    ("DateTime64(3)", wall(2020, 1, 1, 0, 0, 0, 123456)),
    ("DateTime64(3)", pa.scalar(1, pa.timestamp("ns"))),
    ("DateTime64(0)", dt.datetime(2020, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)),
    ("DateTime64(9)", dt.datetime(2262, 4, 11, 23, 47, 17, tzinfo=UTC)),
    ("DateTime64(9)", wall(1677, 9, 21, 0, 12, 43)),
    ("DateTime64(3)", pa.scalar(10**12, pa.timestamp("s"))),
    ("Time", dt.time(1, 2, 3, 4)),
    ("Time", "1:60:00"),
    ("FixedString(3)", "ab"),
    ("FixedString(3)", "abcd"),
    ("FixedString(1)", "é"),
    ("Enum8('a' = 1)", "b"),
    ("Enum8('a' = 1)", 2),
    ("Enum8('a' = 1)", "1"),
    ("UUID", "61f0c404-5cb3-11e7-907b-a6006ad3dbaX"),
    ("IPv4", "256.1.1.1"),
    ("IPv4", 5),
    ("IPv6", "zz"),
    ("String", None),
    ("JSON", '{"a":18446744073709551616}'),
    ("JSON", '{"a":1e400}'),
    ("JSON", "{"),
    ("Array(UInt8)", "[300]"),
    ("Map(String, UInt8)", "{'a':300}"),
    ("Tuple(UInt8, String)", [1]),
    ("Tuple(a UInt8)", {"b": 1}),
    ("Variant(UInt8, String)", 300),
    ("Dynamic", "5"),
    ("Int64", dt.timedelta(seconds=1)),
    ("UInt8", pa.MonthDayNano([1, 2, 3])),
]


@pytest.mark.parametrize(("kind", "value"), REFUSED, ids=named)
def test_what_a_type_cannot_hold_is_refused_by_name(engine: ClickHouseEngine, kind: str, value: Any) -> None:
    refusal(engine, kind, value)


@SLOW
@given(st.datetimes(wall(1900, 1, 2), wall(2299, 12, 30)), st.booleans())
def test_moments_arrive_to_the_microsecond(engine: ClickHouseEngine, moment: dt.datetime, instant: bool) -> None:
    sent = moment.replace(tzinfo=UTC) if instant else moment
    assert text_of(engine, "DateTime64(6, 'UTC')", sent) == str(moment.isoformat(" ", "microseconds"))


@SLOW
@given(st.integers(-20_000, 20_000), st.integers(0, 999_999))
def test_moments_near_1970_arrive(engine: ClickHouseEngine, seconds: int, micros: int) -> None:
    moment = wall(1970, 1, 1) + dt.timedelta(seconds=seconds, microseconds=micros)
    assert text_of(engine, "DateTime64(6, 'UTC')", moment.replace(tzinfo=UTC)) == moment.isoformat(" ", "microseconds")
    if seconds >= 0:
        whole = moment.replace(microsecond=0)
        assert text_of(engine, "DateTime('UTC')", whole.replace(tzinfo=UTC)) == str(whole)


@SLOW
@given(st.floats())
def test_numbers_arrive_to_the_last_bit(engine: ClickHouseEngine, value: float) -> None:
    arrived = read(engine, "{a:Float64}", value)
    assert arrived == value or (math.isnan(arrived) and math.isnan(value))


@SLOW
@given(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(0, 38))
def test_decimals_arrive_or_are_refused(engine: ClickHouseEngine, digits: int, scale: int) -> None:
    value = Decimal(f"{digits}E-{scale}")
    try:
        arrived = read(engine, "{a:Decimal(38, 10)}", value)
    except QueryEngineError as error:
        assert error.failure.reason is Reason.PARAMETER_MISMATCH  # noqa: PT017 - both outcomes are right
        assert scale > 10 or abs(digits) >= 10 ** (28 + scale)
    else:
        assert arrived == value


def test_every_type_of_the_server_is_known_or_refused_by_name(engine: ClickHouseEngine) -> None:
    """A new type of a new server must not take a value that nobody compared with it."""
    sql = "SELECT name FROM system.data_type_families"
    with engine.open(Statement(sql=sql, query_id="q")) as execution:
        schema = execution.start()
        names = pa.Table.from_batches(execution.batches(), schema).column(0).to_pylist()
    assert len(names) > 100
    for name in (each for each in names if each.replace("_", "").isalnum()):
        try:
            arrived = read(engine, f"{{a:{name}}}", 300)
        except QueryEngineError as error:
            refusals = {Reason.PARAMETER_MISMATCH, Reason.SYNTAX_ERROR, Reason.STATEMENT_REJECTED}
            assert error.failure.reason in refusals  # noqa: PT017 - both outcomes are right
        else:
            assert arrived in {300, "300", "1970-01-01 00:05:00"}, name
