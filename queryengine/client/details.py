"""What was submitted and what runs for it, as plain values."""

import datetime as dt
from dataclasses import dataclass

from queryengine.client.brief import Brief
from queryengine.client.explanation import Routing, routing
from queryengine.codec.type_text import type_text
from queryengine.v1 import query_pb2


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
    routing: Routing | None = None
    """How a routing rule chose the engine; None where none did."""
    named_query: str
    """The reference to a named query as submitted, such as `report@prod`; empty for SQL text."""


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
        routing=routing(message.routing) if message.HasField("routing") else None,
        named_query=message.named_query,
    )
