"""What was submitted and what runs for it, as plain values."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from queryengine.client.brief import Brief
from queryengine.v1 import query_pb2, value_pb2
from queryengine.v1.value_pb2 import Column, DataType


@dataclass(frozen=True, slots=True, repr=False)
class ParameterInfo(Brief):
    """A parameter without its value."""

    name: str
    """Empty for a positional one."""
    type: str
    """Such as "INT 64", "DECIMAL(12, 2)" or "LIST(STRING)"; empty where the value was none of its kind."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class QueryDetails(Brief):
    """What was submitted and what runs for it. Values of parameters are not among it."""

    sql: str
    executed_sql: str
    """What the engine is given; the same as `sql` where the service changes nothing."""
    parameters: tuple[ParameterInfo, ...]
    parameters_left_out: int
    """Parameters beyond those that the service keeps the names and types of."""
    queue_timeout: dt.timedelta
    execution_timeout: dt.timedelta
    row_limit: int | None
    byte_limit: int | None
    """None where only the service's own bound holds."""
    fails_at_limit: bool
    """Whether the query fails at row_limit and byte_limit, instead of keeping the rows so far."""


def query_details(message: query_pb2.QueryDetails) -> QueryDetails:
    limits = message.limits
    return QueryDetails(
        sql=message.sql,
        executed_sql=message.executed_sql,
        parameters=tuple(
            ParameterInfo(each.name, type_text(each.type) if each.HasField("type") else "")
            for each in message.parameters
        ),
        parameters_left_out=message.parameters_left_out,
        queue_timeout=limits.queue_timeout.ToTimedelta(),
        execution_timeout=limits.execution_timeout.ToTimedelta(),
        row_limit=limits.row_limit or None,
        byte_limit=limits.byte_limit or None,
        fails_at_limit=limits.on_limit == query_pb2.LIMIT_ACTION_FAIL,
    )


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
