"""What would become of a statement, as plain values."""

from dataclasses import dataclass

from queryengine.client.brief import Brief
from queryengine.client.errors import QueryEngineClientError
from queryengine.v1 import query_pb2, query_service_pb2


@dataclass(frozen=True, slots=True, repr=False)
class PassedOver(Brief):
    """An engine that a routing rule prefers to the one that was taken, and why it was not."""

    engine: str
    why: str


@dataclass(frozen=True, slots=True, repr=False)
class Routing(Brief):
    """How a routing rule chose the engine."""

    rule: str
    facts: tuple[str, ...]
    """What made it apply; empty for a rule that is for everything."""
    passed_over: tuple[PassedOver, ...]
    translated_from: str = ""
    """The dialect that the rule has had the statement translated from; empty where it runs as submitted."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Explanation(Brief):
    """What a submit of this moment would do."""

    engine: str
    engine_type: str
    routing_reason: str
    """Why that engine, in words."""
    routing: Routing | None
    """None where no rule chose the engine."""
    kinds: tuple[str, ...]
    """Of the statement and of those inside of it; empty where they are not known."""
    tables: tuple[str, ...] | None
    """That it reads, by the names that it uses; None where they are not known."""
    row_policies: tuple[str, ...]
    """The row and column policies that would apply, as `schema.table:rule`."""
    queue_timeout_seconds: float
    execution_timeout_seconds: float
    row_limit: int | None
    byte_limit: int | None
    """None where only the service's own bound holds."""
    query_hash: str
    executed_sql: str
    """What the engine would be given; empty where policies shape it."""
    estimated_seconds: float | None
    """By completed runs of the same text on that engine; None where there were none, as the two below."""
    estimated_rows: int | None
    estimated_bytes_scanned: int | None
    engine_plan: str
    """How the engine says that it would run it; empty where `engine_plan_withheld` says why it is not there."""
    engine_plan_withheld: str


def routing(message: query_pb2.RoutingDecision) -> Routing:
    passed = tuple(PassedOver(each.engine, each.why) for each in message.passed_over)
    return Routing(message.rule, tuple(message.facts), passed, message.translated_from)


def explanation(reply: query_service_pb2.SubmitResponse) -> Explanation:
    """Raises QueryEngineClientError for the reply of a server that has run the statement instead, as it knows no other
    mode.
    """
    if not reply.HasField("explanation"):
        raise QueryEngineClientError(
            f"the server is too old to explain; it has accepted the statement as query {reply.status.query_id}"
        )
    found = reply.explanation
    limits, estimate = found.limits, found.estimate
    seconds = estimate.execution_time.ToTimedelta().total_seconds()
    return Explanation(
        engine=found.engine,
        engine_type=found.engine_type,
        routing_reason=found.routing_reason,
        routing=routing(found.routing) if found.HasField("routing") else None,
        kinds=tuple(found.kinds),
        tables=tuple(found.tables) if found.tables_known else None,
        row_policies=tuple(found.row_policies),
        queue_timeout_seconds=limits.queue_timeout.ToTimedelta().total_seconds(),
        execution_timeout_seconds=limits.execution_timeout.ToTimedelta().total_seconds(),
        row_limit=limits.row_limit or None,
        byte_limit=limits.byte_limit or None,
        query_hash=found.query_hash,
        executed_sql=found.executed_sql,
        engine_plan=found.engine_plan,
        engine_plan_withheld=found.engine_plan_withheld,
        estimated_seconds=seconds if estimate.HasField("execution_time") else None,
        estimated_rows=estimate.rows if estimate.HasField("rows") else None,
        estimated_bytes_scanned=estimate.bytes_scanned if estimate.HasField("bytes_scanned") else None,
    )
