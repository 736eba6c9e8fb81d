"""Parameters without their values: what of them is kept, and shown, also after a query has ended."""

from collections.abc import Iterable
from typing import Final

from queryengine.codec.implied import implied
from queryengine.v1.query_pb2 import QueryDetails
from queryengine.v1.value_pb2 import TYPE_KIND_LIST, TYPE_KIND_MAP, DataType, Parameter, Value

DESCRIBED_BYTES_MAX: Final = 16 << 10
FIELD_BYTES_MAX: Final = 4
"""Of the tag of a field and its length, or its number."""

_UNWALKED: Final = {"list_value": DataType(kind=TYPE_KIND_LIST), "map_value": DataType(kind=TYPE_KIND_MAP)}
"""Of what may have many elements, the type is not looked for in them."""


def described(parameters: Iterable[Parameter]) -> bytes:
    """Names and types of parameters as an encoded QueryDetails that holds nothing else, as many as fit; and how many do
    not.
    """
    details = QueryDetails()
    for parameter in parameters:
        if parameter.HasField("type"):
            details.parameters.add(name=parameter.name, type=parameter.type)
        else:
            details.parameters.add(name=parameter.name, type=_type(parameter.value))
    encoded: bytes = details.SerializeToString()
    return encoded if len(encoded) <= DESCRIBED_BYTES_MAX else _fitting(details)


def _fitting(details: QueryDetails) -> bytes:
    """With the first parameters alone, as many as fit."""
    room, kept = DESCRIBED_BYTES_MAX - FIELD_BYTES_MAX, 0
    for each in details.parameters:
        room -= each.ByteSize() + FIELD_BYTES_MAX
        if room < 0:
            break
        kept += 1
    details.parameters_left_out = len(details.parameters) - kept
    del details.parameters[kept:]
    encoded: bytes = details.SerializeToString()
    return encoded


def _type(value: Value) -> DataType | None:
    """None for a value that is none of its kind, which whoever binds it refuses."""
    unwalked = _UNWALKED.get(value.WhichOneof("kind") or "")
    if unwalked is not None:
        return unwalked
    try:
        return implied(value)[1]
    except ValueError:
        return None
