"""Values and parameters: lossless, and refused when they do not fit their type."""

import datetime as dt
import math
import subprocess
import sys
import zoneinfo
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryengine.codec.infer import encode_value
from queryengine.codec.values import MisfitError, decode_parameters, decode_value, encode_parameters
from queryengine.v1 import value_pb2
from queryengine.v1.value_pb2 import Column, DataType, Parameter, ParameterList, Value

VIENNA = zoneinfo.ZoneInfo("Europe/Vienna")
NAIVE_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose

plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**127), 2**127 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=10),
    st.binary(max_size=10),
    st.integers(-(10**40), 10**40).map(lambda digits: Decimal(digits).scaleb(-5)),
    st.dates(),
    st.times(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
)
parameters = st.recursive(plain, lambda inner: st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=5)


def sent(value: Any) -> Any:
    (parameter,) = decode_parameters(encode_parameters([value]).SerializeToString())
    return parameter.value


@given(parameters)
def test_python_values_arrive_as_they_were_sent(value: Any) -> None:
    arrived = sent(value)

    assert arrived == value
    assert type(arrived) is type(value)


@given(st.datetimes(timezones=st.timezones()).filter(lambda moment: 2 < moment.year < 9998))
def test_aware_times_arrive_as_the_same_instant_in_utc(moment: dt.datetime) -> None:
    arrived = sent(moment)

    # Within one zone Python compares wall-clock times, so both go to UTC first.
    assert arrived == moment.astimezone(dt.UTC)
    assert arrived.tzinfo is dt.UTC


@given(st.lists(st.none() | st.integers(-(2**100), 2**100)))
def test_lists_of_integers_arrive_whatever_their_width(values: list[int | None]) -> None:
    assert sent(values) == values


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (float("inf"), math.inf),
        (bytearray(b"x"), b"x"),
        ((1, 2), [1, 2]),
        ([1, 2.5, None], [1.0, 2.5, None]),
        ([Decimal("1.5"), Decimal(100)], [Decimal("1.5"), Decimal(100)]),
        ([{"a": 1, "b": None}, None, {"a": None, "b": "x"}], [{"a": 1, "b": None}, None, {"a": None, "b": "x"}]),
        ([[1], [2**70], []], [[1], [2**70], []]),
        (np.int16(5), 5),
        (np.float32(0.5), 0.5),
        (pa.scalar([("k", 1)], pa.map_(pa.string(), pa.int64())), [("k", 1)]),
        (pa.scalar(pa.MonthDayNano([1, -2, 3])), pa.MonthDayNano([1, -2, 3])),
        (pa.scalar(7, pa.uint8()), 7),
        (pa.scalar(None, pa.uint8()), None),
    ],
)
def test_kin_of_plain_values_arrive_as_plain_values(value: Any, arrives: Any) -> None:
    assert sent(value) == arrives


def test_nan_arrives() -> None:
    assert math.isnan(sent(math.nan))


@pytest.mark.parametrize(
    "value",
    [
        pa.scalar(-1, pa.timestamp("ns")),
        pa.scalar(1, pa.timestamp("ns", "UTC")),
        pa.scalar(10**12, pa.timestamp("s")),
        pa.scalar(1, pa.time64("ns")),
        pa.scalar(-1, pa.duration("ns")),
        pa.scalar(10**15, pa.duration("s")),
        pa.scalar(10**9, pa.int32()).cast(pa.date32()),
    ],
)
def test_what_python_cannot_hold_arrives_as_a_scalar(value: pa.Scalar) -> None:
    assert sent(value) == value


def test_pandas_nanoseconds_are_not_lost() -> None:
    moment = pd.Timestamp(1_000_000_001, tz="UTC")
    assert sent(moment) == pa.scalar(1_000_000_001, pa.timestamp("ns", "UTC"))
    assert sent(pd.Timedelta(1_001)) == pa.scalar(1_001, pa.duration("ns"))


def test_names_and_types_arrive() -> None:
    encoded = encode_parameters({"id": 5, "at": dt.datetime(2024, 1, 1, tzinfo=VIENNA), "e": []})

    by_id, by_time, empty = decode_parameters(encoded.SerializeToString())

    assert (by_id.name, by_id.value, by_id.type) == ("id", 5, None)
    assert (by_time.name, by_time.type) == ("at", pa.timestamp("us", "UTC"))
    assert (empty.value, empty.type) == ([], pa.list_(pa.null()))


def test_nothing_to_send_is_an_empty_list() -> None:
    assert decode_parameters(encode_parameters(None).SerializeToString()) == ()
    assert decode_parameters(b"") == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "a value of type object cannot be sent"),
        (2**127, "more than 128 bits"),
        (Decimal("NaN"), "not a decimal"),
        (Decimal("1E+80"), "76 digits"),
        ("\ud800", "UTF-8"),
        (dt.time(1, tzinfo=dt.UTC), "zone"),
        ({1: 2}, "keys other than text"),
        ([1, "x"], "INT and STRING"),
        ([NAIVE_EPOCH, NAIVE_EPOCH.replace(tzinfo=dt.UTC)], "different kinds"),
        ([{"a": 1}, {"b": 1}], "different members"),
        ([2**53 + 1, 0.5], "rounded"),
        (pd.NaT, "NaT"),
    ],
)
def test_a_value_that_cannot_be_sent_is_refused_by_name(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"parameter 'p': .*{message}"):
        encode_parameters({"p": value})


def test_parameters_are_a_mapping_or_a_sequence() -> None:
    with pytest.raises(TypeError, match="mapping"):
        encode_parameters("abc")
    with pytest.raises(ValueError, match="name ''"):
        encode_parameters({"": 1})
    with pytest.raises(ValueError, match="1001 parameters"):
        encode_parameters([1] * 1001)


def typed(kind: str, **fields: Any) -> DataType:
    return DataType(kind=f"TYPE_KIND_{kind}", **fields)  # type: ignore[arg-type]


INT8 = Column(type=typed("INT", bit_width=8))
FLOAT32 = typed("FLOAT", bit_width=32)
SECOND, MILLI, MICRO, NANO = (f"TIME_UNIT_{unit}" for unit in ("SECOND", "MILLI", "MICRO", "NANO"))


def decoded(value: Value, data_type: DataType) -> Any:
    encoded = ParameterList(parameters=[Parameter(name="p", type=data_type, value=value)])
    (parameter,) = decode_parameters(encoded.SerializeToString())
    return parameter.value


@pytest.mark.parametrize(
    ("value", "data_type"),
    [
        (Value(int_value=-129), typed("INT", bit_width=8)),
        (Value(uint_value=2**32), typed("UINT", bit_width=32)),
        (Value(decimal_value="-1"), typed("UINT", bit_width=128)),
        (Value(decimal_value="1.25"), typed("DECIMAL", precision=5, scale=1)),
        (Value(decimal_value="1000"), typed("DECIMAL", precision=5, scale=2)),
        (Value(double_value=1e300), FLOAT32),
        (Value(double_value=-3.5e38), FLOAT32),
        (Value(double_value=1e-60), FLOAT32),
        (Value(double_value=65520.0), typed("FLOAT", bit_width=16)),
        (Value(timestamp_value={"nanos": 1}), typed("TIMESTAMP", unit=MICRO)),
        (Value(timestamp_value={"nanos": 1}), typed("TIMESTAMP")),
        (Value(timestamp_value={"nanos": 1_000}), typed("TIMESTAMP", unit=MILLI, time_zone="UTC")),
        (Value(timestamp_value={"seconds": 2**34}), typed("TIMESTAMP", unit=NANO)),
        (Value(timestamp_value={"seconds": 2**60, "nanos": 1}), typed("TIMESTAMP", unit=NANO)),
        (Value(time_nanos=1_000_000), typed("TIME", unit=SECOND)),
        (Value(time_nanos=86_400 * 10**9), typed("TIME", unit=NANO)),
        (Value(time_nanos=-1), typed("TIME", unit=NANO)),
        (Value(duration_value={"nanos": -1}), typed("DURATION", unit=MICRO)),
        (Value(duration_value={"seconds": 1, "nanos": -1}), typed("DURATION", unit=NANO)),
        (Value(list_value={"values": [Value(double_value=1e39)]}), typed("LIST", fields=[Column(type=FLOAT32)])),
        (
            Value(map_value={"keys": [Value(int_value=1)], "values": [Value(int_value=128)]}),
            typed("MAP", fields=[INT8, INT8]),
        ),
    ],
)
def test_a_value_beyond_its_type_is_a_misfit_of_its_parameter(value: Value, data_type: DataType) -> None:
    with pytest.raises(MisfitError, match="parameter 'p': ") as caught:
        decoded(value, data_type)
    assert caught.value.parameter == "p"


@pytest.mark.parametrize(
    ("value", "data_type"),
    [
        (Value(double_value=3.4028234663852886e38), FLOAT32),
        (Value(double_value=1e-45), FLOAT32),
        (Value(double_value=0.1), FLOAT32),
        (Value(double_value=-0.0), FLOAT32),
        (Value(double_value=math.inf), FLOAT32),
        (Value(double_value=65504.0), typed("FLOAT", bit_width=16)),
        (Value(timestamp_value={"nanos": 999_999_999}), typed("TIMESTAMP", unit=NANO)),
        (Value(timestamp_value={"seconds": 2**62}), typed("TIMESTAMP", unit=SECOND)),
        (Value(duration_value={"seconds": -1, "nanos": -1_000_000}), typed("DURATION", unit=MILLI)),
    ],
)
def test_a_value_at_the_edge_of_its_type_arrives(value: Value, data_type: DataType) -> None:
    arrived = decoded(value, data_type)
    again, _ = encode_value(arrived)
    assert again == value


def test_a_time_that_no_64_bits_hold_is_refused() -> None:
    """Even without a type: the seconds ask for a coarse unit, the nanoseconds for a fine one."""
    with pytest.raises(MisfitError):
        decode_value(Value(timestamp_value={"seconds": 2**60, "nanos": 1}))


@pytest.mark.parametrize(
    ("value", "data_type", "message"),
    [
        (Value(), None, "no value is set"),
        (Value(string_value="1"), typed("INT", bit_width=64), "the type is INT, the value is string_value"),
        (Value(int_value=128), typed("INT", bit_width=8), "out of range for INT 8"),
        (Value(uint_value=256), typed("UINT", bit_width=8), "out of range for UINT 8"),
        (Value(decimal_value="-1"), typed("UINT", bit_width=128), "out of range"),
        (Value(decimal_value=str(2**127)), typed("INT", bit_width=128), "out of range"),
        (Value(decimal_value="1.5"), typed("INT", bit_width=128), "whole number"),
        (Value(decimal_value="1e5"), None, "exact decimal"),
        (Value(decimal_value="٣"), None, "exact decimal"),
        (Value(decimal_value="9" * 77), None, "76 digits"),
        (Value(decimal_value="1.25"), typed("DECIMAL", precision=5, scale=1), "data loss"),
        (Value(timestamp_value={"nanos": -1}), typed("TIMESTAMP"), "nanos -1"),
        (Value(time_nanos=86_400 * 10**9), typed("TIME"), "time of day"),
        (Value(duration_value={"seconds": 1, "nanos": -1}), typed("DURATION"), "one sign"),
        (Value(uuid_value=b"x"), typed("UUID"), "16 octets"),
        (Value(list_value={}), typed("STRUCT", fields=[INT8]), "STRUCT of 1 members"),
        (Value(map_value={"keys": [Value()]}), typed("MAP", fields=[INT8, INT8]), "MAP of 1 keys"),
        (
            Value(list_value={"values": [Value(int_value=300)]}),
            typed("LIST", fields=[INT8]),
            "out of range for INT 8",
        ),
        (Value(int_value=1), DataType(), "no such type"),
    ],
)
def test_a_malformed_parameter_is_refused_by_name(value: Value, data_type: DataType | None, message: str) -> None:
    encoded = ParameterList(parameters=[Parameter(name="p", type=data_type, value=value)])

    with pytest.raises(ValueError, match=f"parameter 'p': .*{message}"):
        decode_parameters(encoded.SerializeToString())


@pytest.mark.parametrize(
    ("names", "message"),
    [(["a", ""], "all named or all positional"), (["a", "a"], "'a' is given twice")],
)
def test_parameters_that_contradict_each_other_are_refused(names: list[str], message: str) -> None:
    one = Value(int_value=1)
    encoded = ParameterList(parameters=[Parameter(name=name, value=one) for name in names])

    with pytest.raises(ValueError, match=message):
        decode_parameters(encoded.SerializeToString())


def test_bytes_that_are_no_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="not an encoded ParameterList"):
        decode_parameters(b"\xff\xff")


def test_a_positional_parameter_is_named_by_its_place() -> None:
    with pytest.raises(ValueError, match="parameter 2: no value"):
        decode_parameters(
            ParameterList(parameters=[Parameter(value=Value(int_value=1)), Parameter()]).SerializeToString()
        )


def test_values_without_a_type_read_as_what_they_are() -> None:
    pair = value_pb2.ListValue(values=[Value(int_value=1), Value(string_value="x")])

    assert decode_value(Value(list_value=pair)) == [1, "x"]
    assert decode_value(Value(timestamp_value={"seconds": 0})) == NAIVE_EPOCH


def test_malloc_can_be_told_to_keep_its_memory() -> None:
    # In a process of its own, since it cannot be taken back.
    code = "from queryengine.codec.memory import keep_malloc_memory as keep; print(keep(), keep())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    expected = "True True" if sys.platform.startswith("linux") else "False False"
    assert done.stdout.strip() == expected
