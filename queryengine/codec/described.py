"""Parameters without their values: what of them is kept, and shown, also after a query has ended."""

from collections.abc import Iterable
from typing import Final

from queryengine.codec.implied import implied
from queryengine.v1.query_pb2 import ParameterInfo, QueryDetails
from queryengine.v1.value_pb2 import TYPE_KIND_LIST, TYPE_KIND_MAP, DataType, Parameter

DESCRIBED_BYTES_MAX: Final = 16 << 10

_UNWALKED: Final = {"list_value": DataType(kind=TYPE_KIND_LIST), "map_value": DataType(kind=TYPE_KIND_MAP)}
"""Of what may have many elements, the type is not looked for in them."""


def described(parameters: Iterable[Parameter]) -> bytes:
    """Names and types of parameters as an encoded QueryDetails that holds nothing else, as many as fit; and how many do
    not.
    """
    details, room = QueryDetails(), DESCRIBED_BYTES_MAX
    for parameter in parameters:
        info = ParameterInfo(name=parameter.name, type=_type(parameter))
        room -= info.ByteSize() + 4
        if room < 0:
            details.parameters_left_out += 1
        else:
            details.parameters.append(info)
    encoded: bytes = details.SerializeToString()
    return encoded


def _type(parameter: Parameter) -> DataType | None:
    """None for a value that is none of its kind, which whoever binds it refuses."""
    if parameter.HasField("type"):
        return parameter.type
    kind = parameter.value.WhichOneof("kind")
    if kind in _UNWALKED:
        return _UNWALKED[kind]
    try:
        return implied(parameter.value)[1]
    except ValueError:
        return None
