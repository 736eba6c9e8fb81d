"""What all adapters share about parameters: their names, refusals without their values, types inside of types."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.kit.arrow_types import TypeTable, is_any_list
from queryengine.engines.kit.parameters import bound

SECRET = "hunter2"
NO_TYPE = "the engine has no type that holds this value exactly"


def failing(cause: Exception) -> Callable[[BoundParameter], object]:
    def bind(_: BoundParameter) -> object:
        raise cause

    return bind


def test_parameters_are_bound_by_name_or_number_in_their_order() -> None:
    named = (BoundParameter("b", 1), BoundParameter("a", 2))
    assert list(bound(named, lambda each: each.value * 10).items()) == [("b", 10), ("a", 20)]
    positional = (BoundParameter("", 1), BoundParameter("", 2))
    assert list(bound(positional, lambda each: each.value).items()) == [("1", 1), ("2", 2)]
    assert bound((), failing(ValueError("never asked"))) == {}


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        (ValueError("it has more digits"), "it has more digits"),
        (pa.ArrowInvalid(f"Could not convert '{SECRET}'"), NO_TYPE),
        (pa.ArrowTypeError(f"not {SECRET}"), NO_TYPE),
        (TypeError(f"{SECRET} is no integer"), NO_TYPE),
        (OverflowError(f"{SECRET} is too large"), NO_TYPE),
        (UnicodeEncodeError("utf-8", SECRET, 0, 1, "surrogates not allowed"), NO_TYPE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_cannot_be_bound_is_a_mismatch_without_it(cause: Exception, why: str) -> None:
    for name, shown in (("a", "a"), ("", "1")):
        with pytest.raises(QueryEngineError) as caught:
            bound((BoundParameter(name, SECRET),), failing(cause))
        failure = caught.value.failure
        assert (failure.reason, failure.metadata) == (Reason.PARAMETER_MISMATCH, {"parameter": shown})
        assert failure.message == f"parameter {shown}: {why}"
        assert caught.value.__cause__ is cause


def test_a_defect_of_an_adapter_stays_one() -> None:
    with pytest.raises(ZeroDivisionError):
        bound((BoundParameter("a", 1),), lambda _: 1 / 0)


def test_a_table_of_types_asks_itself_for_what_is_inside() -> None:
    table: TypeTable[str] = TypeTable(
        "Product", {pa.int32(): "INT"}, {is_any_list: lambda arrow: f"{table.of(arrow.value_type)}[]"}
    )
    assert table.of(pa.int32()) == "INT"
    for kind in (pa.list_(pa.int32()), pa.large_list(pa.int32()), pa.list_(pa.int32(), 3)):
        assert table.of(pa.list_(kind)) == "INT[][]"
    for unknown in (pa.string(), pa.list_(pa.string())):
        with pytest.raises(ValueError, match="Product has no type for string"):
            table.of(unknown)
