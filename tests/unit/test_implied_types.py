"""A value without a type has the one that follows from it, or is a misfit that says to name one."""

from typing import Any

import pyarrow as pa
import pytest

from queryengine.codec.values import BoundParameter, MisfitError, decode_parameters
from queryengine.engines.kit.parameters import with_short_integers
from queryengine.v1.value_pb2 import ListValue, MapValue, Parameter, ParameterList, TimestampValue, Value

NULL = Value(null_value=0)
ONE = Value(int_value=1)
TEXT = Value(string_value="a")


def listed(*values: Value) -> Value:
    return Value(list_value=ListValue(values=values))


def mapped(*pairs: tuple[Value, Value]) -> Value:
    return Value(map_value=MapValue(keys=[key for key, _ in pairs], values=[value for _, value in pairs]))


def decoded(value: Value) -> BoundParameter:
    [parameter] = decode_parameters(ParameterList(parameters=[Parameter(name="p", value=value)]).SerializeToString())
    return parameter


@pytest.mark.parametrize(
    ("value", "arrow", "python"),
    [
        (Value(uint_value=1), "uint64", 1),
        (listed(ONE, NULL), "list<item: int64>", [1, None]),
        (listed(), "list<item: null>", []),
        (listed(NULL), "list<item: null>", [None]),
        (listed(ONE, Value(double_value=0.5)), "list<item: double not null>", [1.0, 0.5]),
        (listed(Value(decimal_value="1.5"), Value(decimal_value="20")), "list<item: decimal128(3, 1) not null>", None),
        (listed(Value(time_nanos=1), Value(time_nanos=1000)), "list<item: time64[ns] not null>", None),
        (listed(Value(timestamp_value=TimestampValue(seconds=1))), "list<item: timestamp[us] not null>", None),
        (listed(listed(ONE), listed()), "list<item: list<item: int64> not null>", [[1], []]),
        (mapped((TEXT, ONE)), "map<string, int64 ('value')>", [("a", 1)]),
        (mapped((ONE, NULL)), "map<int64, null ('value')>", [(1, None)]),
        (
            listed(mapped((TEXT, ONE)), mapped((TEXT, Value(double_value=0.5)))),
            "list<item: map<string, double ('value')> not null>",
            [[("a", 1.0)], [("a", 0.5)]],
        ),
    ],
)
def test_a_type_follows_from_the_value(value: Value, arrow: str, python: Any) -> None:
    parameter = decoded(value)
    assert str(parameter.type).replace(" ('value')", "") == arrow.replace(" ('value')", "")
    assert python is None or parameter.value == python


@pytest.mark.parametrize(
    "value",
    [
        listed(ONE, TEXT),
        listed(listed(ONE), listed(TEXT)),
        listed(ONE, Value(uint_value=1)),
        listed(Value(int_value=2**53 + 1), Value(double_value=0.5)),
        listed(Value(decimal_value="x")),
        mapped(),
        mapped((ONE, ONE), (TEXT, ONE)),
        mapped((TEXT, ONE), (TEXT, TEXT)),
        mapped((TEXT, mapped())),
    ],
)
def test_values_without_one_type_say_to_name_it(value: Value) -> None:
    with pytest.raises(MisfitError, match="name the type of the parameter") as caught:
        decoded(value)
    assert caught.value.parameter == "p"


@pytest.mark.parametrize("value", [Value(), listed(Value()), mapped((NULL, ONE))])
def test_what_is_no_value_stays_a_malformed_parameter(value: Value) -> None:
    with pytest.raises(ValueError, match="parameter 'p'"):
        decoded(value)


def test_whole_numbers_without_a_type_have_a_shorter_form() -> None:
    typed, free, text = BoundParameter("a", 1, pa.int64()), BoundParameter("b", -(2**31)), BoundParameter("c", "x")
    assert with_short_integers((typed, free, text)) == (typed, BoundParameter("b", -(2**31), pa.int32()), text)
    assert with_short_integers((typed, text, BoundParameter("d", True))) is None
    assert with_short_integers((free, BoundParameter("d", 2**31))) is None
    assert with_short_integers(()) is None
