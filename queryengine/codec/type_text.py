"""Types of the contract in words, such as INT 64 or DECIMAL(12, 2), for people."""

from collections.abc import Sequence

from queryengine.v1 import value_pb2
from queryengine.v1.value_pb2 import Column, DataType


def type_text(data_type: DataType) -> str:
    """A type in words, for people; a kind of a newer contract by its number."""
    kinds = value_pb2.TypeKind
    kind = data_type.kind
    name = kinds.Name(kind).removeprefix("TYPE_KIND_") if kind in kinds.values() else str(kind)
    if data_type.bit_width:
        return f"{name} {data_type.bit_width}"
    if data_type.precision:
        return f"{name}({data_type.precision}, {data_type.scale})"
    if data_type.time_zone:
        return f"{name}({data_type.time_zone})"
    if data_type.fields:
        return f"{name}({', '.join(_members(data_type.fields, named=kind == value_pb2.TYPE_KIND_STRUCT))})"
    return name


def _members(columns: Sequence[Column], *, named: bool) -> list[str]:
    return [f"{each.name} {type_text(each.type)}" if named else type_text(each.type) for each in columns]
