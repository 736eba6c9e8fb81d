"""The failure of a query that waited for too long: what it waited for, and who held that."""

from collections.abc import Callable, Sequence
from typing import Final

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.query import Query
from queryengine.executing.outcomes import said_by
from queryengine.executing.shares import HeldSlot, Rule
from queryengine.executing.throttle import Held

NAMED_MAX: Final = 3
"""Runs of the query's own tenant that are named."""


def engine_was_down(query: Query, why: str) -> Failure:
    engine = query.plan.engine
    message = f"engine {engine!r} could not be used within {_limit(query)}: {why}"
    return Failure(Reason.ENGINE_UNAVAILABLE, message, {"engine": engine})


def waited_out(
    query: Query,
    rule: Rule,
    runs: Sequence[HeldSlot],
    slots: int,
    now_us: int,
    *,
    may_name: Callable[[Query, HeldSlot], bool],
    held: Held | None = None,
) -> Failure:
    """`held`: the limit of its tenant, subject or key that kept it waiting. `runs` would have had to end, the oldest
    comes first. Those of the query's tenant that it may name are named, with how long they have run and how long they
    may; of others the number is all that is said.
    """
    mine = [run for run in runs if run.tenant == query.tenant]
    named, others = [run for run in mine if may_name(query, run)][:NAMED_MAX], len(runs) - len(mine)
    metadata = {
        "timeout_ms": str(query.plan.queue_timeout_ms),
        "source": query.limit_source("queue_timeout"),
        "engine": query.plan.engine,
        "slots": str(slots),
        "holders": str(len(mine)),
        "other_tenants_holders": str(others),
    }
    if rule is not Rule.SLOTS:
        metadata["limit"] = rule.value if held is None else held.bound.key
    if named:
        metadata["holder_ids"] = ",".join(run.key[1] for run in named)
        metadata["holder_running_ms"] = ",".join(str(_running_ms(run, now_us)) for run in named)
        metadata["holder_timeout_ms"] = ",".join(str(run.timeout_ms) for run in named)
    source = said_by(query.limit_source("queue_timeout"))
    message = f"the query waited longer than {_limit(query)}, which {source} (submit it again, or with a longer one)"
    if held is not None and not runs:
        message += f"; {held}"
    if runs:
        holders = [_described(run, now_us) for run in named]
        more = "more " if named else ""
        holders += [f"{_queries(len(mine) - len(named), more)} of this tenant"] if len(mine) > len(named) else []
        holders += [f"{_queries(others)} of other tenants"] if others else []
        why = _why(query, rule, len(runs), slots) if held is None else str(held)
        message += f"; {why}: {', '.join(holders)}"
    return Failure(Reason.QUEUE_TIMEOUT, message, metadata)


def _why(query: Query, rule: Rule, count: int, slots: int) -> str:
    of_engine = f"{count} of {slots} slots of engine {query.plan.engine!r} are in use"
    match rule:
        case Rule.SLOTS:
            return of_engine
        case Rule.TENANT_RUNNING | Rule.USAGE:
            return f"{rule} keeps it waiting"
        case Rule.TENANT_SLOTS:
            return f"{of_engine} by this tenant, as many as {rule} allows"
        case Rule.LEFT_TO_OTHERS:
            return f"{of_engine}, and {rule} leaves the last one to tenants who have none"
        case Rule.LONG_RUNS:
            return f"{of_engine} by queries that may run for long, as many as {rule} allows"


def _described(run: HeldSlot, now_us: int) -> str:
    seconds, limit = _running_ms(run, now_us) / 1000, run.timeout_ms / 1000
    return f"{run.key[1]} (running for {seconds:.1f} s, execution_timeout {limit:g} s)"


def _queries(count: int, kind: str = "") -> str:
    return f"{count} {kind}{'query' if count == 1 else 'queries'}"


def _running_ms(run: HeldSlot, now_us: int) -> int:
    return max(0, now_us - run.start_us) // 1000


def _limit(query: Query) -> str:
    return f"its queue_timeout of {query.plan.queue_timeout_ms / 1000:g} seconds"
