"""What a worker is given to run, made from a query."""

from collections.abc import Callable, Sequence

from queryengine.domain.query import Query
from queryengine.results.writer import ResultLimits
from queryengine.workers.orders import RunOrder


class Orders:
    """Makes the order of an attempt."""

    def __init__(
        self,
        limits: Callable[[Query], ResultLimits],
        allowed: Callable[[str], Sequence[str]],
        *,
        first_page_flush_seconds: float,
    ) -> None:
        """By the settings of the moment: `limits` are the bounds on a query's result, `allowed` the functions that
        statements on an engine may call although its adapter refuses them.
        """
        self._limits = limits
        self._allowed = allowed
        self._first_page_flush_seconds = first_page_flush_seconds

    def order(self, query: Query, parameters: bytes, result: str) -> RunOrder:
        """`result` is the key under which the worker stores the rows."""
        asked = query.submission
        return RunOrder(
            execution=f"{query.query_id}/{query.attempt}/{query.tenant}",
            query_id=query.query_id,
            tenant=query.tenant,
            subject=query.subject,
            sql=query.executed_sql,
            parameters=parameters,
            catalog=asked.catalog,
            schema=asked.schema,
            session_settings=dict(asked.session_settings),
            execution_timeout_seconds=query.plan.execution_timeout_ms / 1000,
            result=result,
            limits=self._limits(query),
            first_page_flush_seconds=self._first_page_flush_seconds,
            wide_integers=asked.wide_integers,
            allowed_functions=list(self._allowed(query.plan.engine)),
            enforced=query.plan.enforced,
        )
