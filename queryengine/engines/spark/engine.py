"""Spark, through a Spark Connect server.

Every execution has a session of the server to itself, and what it left running there is stopped. Spark computes a
result ahead of its reader, so results are bounded, or staged.
"""

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import grpc
import pyarrow as pa

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError
from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.base import Engine, EngineTraits, PolicyProblem, Progress, Statement
from queryengine.engines.kit.checking import allowed_functions
from queryengine.engines.kit.executions import OpenExecutions
from queryengine.engines.kit.guarded import GuardedExecution
from queryengine.engines.kit.parameters import with_short_integers
from queryengine.engines.spark import row_security
from queryengine.engines.spark.check import analyse
from queryengine.engines.spark.check import check as check_text
from queryengine.engines.spark.client import Connection, Operation, Proto, Session, proto
from queryengine.engines.spark.columns import batch_of
from queryengine.engines.spark.errors import translated, unavailable
from queryengine.engines.spark.options import SESSION_SETTINGS, SparkOptions
from queryengine.engines.spark.progress import ProgressTracker
from queryengine.engines.spark.projection import NOT_AS_ARROW, NOT_AS_PARQUET, readable
from queryengine.engines.spark.reading import Direct, Limits, Source, Staged
from queryengine.engines.spark.sessions import KEPT_MAX, Sessions
from queryengine.engines.spark.staging import Staging
from queryengine.engines.spark.statement import GUARD, PreparedStatement
from queryengine.engines.spark.sweeping import Sweeper

_PROBE_SECONDS: Final = 3.0


class SparkEngine(Engine):
    """Options: see SparkOptions."""

    type_name = "spark"

    @classmethod
    def traits(cls, options: Mapping[str, Any]) -> EngineTraits:
        chosen = SparkOptions.parse(options)
        return EngineTraits(
            named_parameters=True,
            positional_parameters=True,
            streams=not chosen.staging,
            progress=True,
            scan_statistics=True,
            catalog=True,
            schema=True,
            session_settings=SESSION_SETTINGS,
        )

    @classmethod
    def check(cls, sql: str, options: Mapping[str, Any]) -> None:
        check_text(sql, allowed_functions(options))

    @classmethod
    def analyse(cls, sql: str, options: Mapping[str, Any]) -> Analysis:
        return analyse(sql, allowed_functions(options))

    @classmethod
    def secured(cls, sql: str, policy: RowPolicy, options: Mapping[str, Any]) -> SecuredText:  # noqa: ARG003
        return row_security.secured(sql, policy)

    @classmethod
    def policy_problems(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[PolicyProblem]:
        return row_security.policy_problems(policy, options)

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.options = SparkOptions.parse(options)
        self._name = name
        self.executions: OpenExecutions[SparkExecution] = OpenExecutions()
        self.sweeper = Sweeper()
        endpoint = self.options.endpoint()
        self.connection = Connection(
            endpoint.target,
            user=endpoint.user,
            token=endpoint.token,
            use_ssl=endpoint.use_ssl,
            headers=endpoint.headers,
        )
        try:
            self._version = self._ask_version(self.options.connect_timeout_seconds)
        except QueryEngineError:
            self.connection.close()
            raise
        self.sessions = Sessions(self.connection, KEPT_MAX if self.options.keep_sessions else 0)

    def version(self) -> str:
        return f"Spark {self._version}"

    def open(self, statement: Statement) -> "SparkExecution":
        return self.executions.add(SparkExecution(self, statement))

    def probe(self) -> None:
        self._ask_version(_PROBE_SECONDS)

    def close(self) -> None:
        self.executions.close()
        self.sweeper.close()
        self.sessions.close()
        self.connection.close()

    def _ask_version(self, seconds: float) -> str:
        session = Session(self.connection)
        try:
            self.connection.wait(seconds)
            version = session.version(seconds)
            session.release()
        except (grpc.RpcError, TimeoutError) as cause:
            raise unavailable(self._name, cause) from cause
        return version


class SparkExecution(GuardedExecution):
    def __init__(self, engine: SparkEngine, statement: Statement) -> None:
        super().__init__(engine.executions)
        self._engine = engine
        self._statement = statement
        self._session: Session | None = None
        self._session_kind: Hashable = None
        self._is_complete = False
        self._staging: Staging | None = None
        self._pending: Any = None
        self._source: Source | None = None
        self._tracker = ProgressTracker()
        self._schema = pa.schema([])
        self._operations: list[Operation] = []
        self._limits = Limits(engine.options.result_rows_max, engine.options.result_bytes_max)

    def _begin(self) -> pa.Schema:
        prepared = PreparedStatement(self._statement)
        deadline = time.monotonic() + self._statement.execution_timeout_seconds
        self._session_kind = prepared.session_kind
        # Files are removed when nothing writes them any more.
        self._hold(self._remove_staging)
        self._session = session = self._engine.sessions.take(prepared.session_kind, prepared.settings)
        self._hold(self._end_session, session)
        for command in prepared.commands:
            for _ in self._operation(session, command, prepared.tags, deadline).responses():
                pass
        try:
            columns = self._columns(session, prepared, deadline)
        except grpc.RpcError as cause:
            prepared, columns = self._with_short_integers(session, deadline, cause)
        self._schema = prepared.schema(columns)
        if self._engine.options.staging:
            self._staging = Staging(self._engine.options.staging)
            plan = self._staging.writing(readable(prepared.query, columns, NOT_AS_PARQUET), len(self._schema))
        else:
            plan = proto.Plan(root=readable(prepared.query, columns, NOT_AS_ARROW))
        operation = self._operation(session, plan, prepared.tags, deadline)
        self._tracker.begin(operation.id, self._page(session))
        staging = self._staging
        self._source = Staged(operation, self._tracker, staging) if staging else Direct(operation, self._tracker)
        self._source.begin()
        return self._schema

    def _columns(self, session: Session, prepared: PreparedStatement, deadline: float) -> Any:
        self._pending = session.schema_call(prepared.query, deadline)
        return self._pending.result()

    def _with_short_integers(
        self, session: Session, deadline: float, cause: grpc.RpcError
    ) -> tuple[PreparedStatement, Any]:
        """The statement once more where Spark refuses it with integers of 64 bits. Raises the former failure when it
        refuses it either way.
        """
        shorter = with_short_integers(self._statement.parameters)
        if shorter is None or cause.code() is not grpc.StatusCode.INTERNAL or self._calls.stopped:
            raise cause
        prepared = PreparedStatement(replace(self._statement, parameters=shorter))
        try:
            return prepared, self._columns(session, prepared, deadline)
        except grpc.RpcError:
            raise cause from None

    def _batches(self) -> Iterator[pa.RecordBatch]:
        assert self._source is not None
        while (columns := self._source.next_columns()) is not None:
            batch = batch_of(columns, self._schema)
            self._limits.count(batch)
            yield batch
        self._is_complete = True
        self._tracker.end()

    def _snapshot(self) -> Progress:
        return self._tracker.snapshot()

    def _interrupt(self) -> None:
        """Wake whoever waits for Spark; Spark itself is stopped by `_end_session`."""
        if self._pending is not None:
            self._pending.cancel()
        for operation in tuple(self._operations):
            operation.stop_reading()

    def _end_session(self, session: Session) -> None:
        """Return when Spark says that nothing of it runs."""
        self._session = None
        if self._is_complete:
            self._engine.sessions.give_back(self._session_kind, session, self._operations)
            return
        # A server that does not answer runs nothing that could be stopped from here.
        try:
            with suppress(grpc.RpcError):
                for operation in self._operations:
                    operation.stop()
        finally:
            with suppress(grpc.RpcError):
                session.release()

    def _remove_staging(self) -> None:
        staging = self._staging
        if staging is not None and staging.is_written:
            staging.remove()
        elif staging is not None:
            self._engine.sweeper.sweep(staging)

    def _operation(self, session: Session, plan: Proto, tags: list[str], deadline: float) -> Operation:
        operation = session.operation(plan, tags, deadline)
        self._operations.append(operation)
        return operation

    def _failure(self, cause: Exception) -> QueryEngineError:
        return translated(cause, self._statement.sql, self._session, skipped=len(GUARD))

    def _page(self, session: Session) -> str:
        root = self._engine.options.web_url.rstrip("/")
        return f"{root}/connect/session/?id={session.id}" if root else ""
