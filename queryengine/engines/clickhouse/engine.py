"""ClickHouse, over its HTTP interface: results are the Arrow streams that the server itself writes.

Every statement runs under a query id of ours, without a session, so that another connection can see it and end it. Its
columns are asked for first, because Arrow does not carry every type of ClickHouse.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.exceptions import Error
from clickhouse_connect.driver.httpclient import HttpClient

from queryengine.codec.nesting import Convert
from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.base import Engine, EngineTraits, PolicyProblem, Progress, Statement
from queryengine.engines.clickhouse import row_security
from queryengine.engines.clickhouse.check import check, prepared
from queryengine.engines.clickhouse.columns import plan
from queryengine.engines.clickhouse.control import Control, Counted, Watch, rows_of
from queryengine.engines.clickhouse.enforcement import identity, require_policies
from queryengine.engines.clickhouse.errors import Sent, translated
from queryengine.engines.clickhouse.functions import KNOWN, called_by_name, not_computing, parts_of
from queryengine.engines.clickhouse.guard import check_schema, names_in
from queryengine.engines.clickhouse.live_tables import live_tables
from queryengine.engines.clickhouse.options import CONTROL_SECONDS, ClickHouseOptions
from queryengine.engines.clickhouse.parameters import Encoded
from queryengine.engines.clickhouse.settings import (
    SESSION_SETTINGS,
    base_settings,
    block_settings,
    policed_settings,
    statement_settings,
)
from queryengine.engines.clickhouse.stream import ArrowStream, parts
from queryengine.engines.clickhouse.times import Calendar, holds_all_years
from queryengine.engines.clickhouse.types import parse
from queryengine.engines.kit.analysing import of_tokens
from queryengine.engines.kit.executions import OpenExecutions
from queryengine.engines.kit.guarded import GuardedExecution
from queryengine.engines.kit.interrupting import cancelled
from queryengine.engines.kit.lexicons import CLICKHOUSE
from queryengine.engines.kit.reaching import Reaching
from queryengine.engines.kit.row_security.comparing import compared
from queryengine.engines.kit.row_security.problems import problems
from queryengine.engines.kit.row_security.reserved import is_policed
from queryengine.engines.kit.sqltemplate import PlacedText


class ClickHouseEngine(Engine):
    type_name = "clickhouse"

    @classmethod
    def traits(cls, options: Mapping[str, Any]) -> EngineTraits:
        ClickHouseOptions.parse(options)
        return EngineTraits(
            named_parameters=True,
            positional_parameters=True,
            streams=True,
            back_pressure=True,
            cancel_confirmed=True,
            sandbox=True,
            progress=True,
            scan_statistics=True,
            schema=True,
            session_settings=SESSION_SETTINGS,
        )

    @classmethod
    def check(cls, sql: str, options: Mapping[str, Any]) -> None:  # noqa: ARG003 - no option changes it
        check(sql)

    @classmethod
    def analyse(cls, sql: str, options: Mapping[str, Any]) -> Analysis:  # noqa: ARG003 - no option changes it
        checked = check(sql)
        tokens = checked.query.tokens
        called, named = not_computing(tokens), called_by_name(tokens)
        reaching = Reaching.listed(__package__).among(called) | names_in(checked.query)
        found = of_tokens(checked.query, CLICKHOUSE, checked.template.names, unproven=called, reaching=reaching)
        if named is None or found.functions is None:
            return replace(found, functions=None, unproven=None)
        functions = found.functions | named
        unproven = called | {name for name in named if name not in KNOWN}
        return replace(found, functions=functions, unproven=unproven, parts=parts_of(functions))

    @classmethod
    def secured(cls, sql: str, policy: RowPolicy, options: Mapping[str, Any]) -> SecuredText:  # noqa: ARG003
        return row_security.secured(sql, policy)

    @classmethod
    def policy_problems(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[PolicyProblem]:  # noqa: ARG003
        return problems(policy, row_security.GRAMMAR)

    @classmethod
    def compared_columns(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[tuple[int, str]]:  # noqa: ARG003
        return compared(policy, row_security.GRAMMAR)

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.options = parsed = ClickHouseOptions.parse(options)
        clients: list[HttpClient] = []
        try:
            for seconds in (parsed.read_timeout_seconds, CONTROL_SECONDS):
                clients.append(parsed.client(read_timeout_seconds=seconds))  # noqa: PERF401 - closed when one fails
            self.client, self._control_client = clients
            self.settings = base_settings(parsed.settings, self.client.server_settings)
            self._holds_all_years = holds_all_years(self.client)
        except Exception as cause:
            for client in clients:
                client.close()
            why = str(cause) if isinstance(cause, ValueError) else translated(cause, parsed.address).failure.message
            message = f"engine {name!r} cannot use ClickHouse at {parsed.address}: {why}"
            raise error(Reason.ENGINE_UNAVAILABLE, message, engine=name) from cause
        self.control = Control(self._control_client, parsed.address)
        self.watch = Watch(self.control)
        self.executions: OpenExecutions[ClickHouseExecution] = OpenExecutions()

    def version(self) -> str:
        return f"ClickHouse {self.client.server_version}"

    def open(self, statement: Statement) -> "ClickHouseExecution":
        return self.executions.add(ClickHouseExecution(self, statement))

    def probe(self) -> None:
        self.control.answers()

    def live_tables(self, tables: Sequence[AskedTable]) -> Sequence[LiveTable | None]:
        return live_tables(tables, self.control.ask)

    @classmethod
    def enforcement_problem(cls, options: Mapping[str, Any]) -> str:  # noqa: ARG003 - no option changes it
        return ""

    def calendar(self, zone: str = "") -> Calendar:
        """In this zone, or the server's own."""
        return Calendar(zone or str(self.client.server_tz), self._holds_all_years)

    def close(self) -> None:
        self.executions.close()
        self.watch.close()
        self.client.close()
        self._control_client.close()


class ClickHouseExecution(GuardedExecution):
    def __init__(self, engine: ClickHouseEngine, statement: Statement) -> None:
        super().__init__(engine.executions)
        self._engine = engine
        self._statement = statement
        self._query_id = f"{statement.query_id}-{uuid.uuid4().hex[:12]}"
        self._query_ids = [self._query_id, f"{self._query_id}-columns"]
        self._stream: ArrowStream | None = None
        self._schema = pa.schema([])
        self._converts: list[Convert | None] = []
        self._progress = Progress()
        self._lost: QueryEngineError | None = None
        self._sent: Sent | None = None
        """What the server has now, for the places that it reports."""
        self._is_sent = False
        """Something of it may run on the server."""

    def _begin(self) -> pa.Schema:
        text, parameters, settings = self._prepare()
        self._is_sent = True
        self._hold(self._confirm_end)
        self._hold(self._close_stream)
        if self._statement.enforced:
            said = identity(self._statement, self._engine.options.identity_settings)
            require_policies(partial(self._ask_rows, settings), self._statement.enforced, said)
        names, types = self._ask_columns(text, parameters, settings)
        if self._calls.stopped:
            raise cancelled()
        self._progress = Progress(fraction=0.0, engine_query_id=self._query_id)
        self._engine.watch.add(self._query_id, self._count, self._lose)
        self._hold(self._engine.watch.forget, self._query_id)
        self._sent = Sent(text, self._statement.sql)
        response = self._engine.client.raw_stream(
            text.sql,
            parameters=parameters,
            settings={**settings, **block_settings([parse(kind) for kind in types]), "query_id": self._query_id},
            fmt="ArrowStream",
        )
        self._stream = stream = ArrowStream(response, self._statement.parameters)
        self._hold(self._kill)
        self._schema = self._planned(names, types, stream)
        return self._schema

    def _batches(self) -> Iterator[pa.RecordBatch]:
        assert self._stream is not None
        for batch in self._stream.batches():
            yield from parts(self._converted(batch))
        self._finish()

    def _snapshot(self) -> Progress:
        return self._progress

    def _interrupt(self) -> None:
        try:
            self._engine.control.kill(self._query_ids)
        except QueryEngineError:
            stream = self._stream
            if stream is not None:
                stream.abandon()

    def _kill(self) -> None:
        """Before the connection ends, so that the server knows why; one that waits for its reader sees a kill only when
        the connection ends.
        """
        if self._is_sent:
            self._ask(self._engine.control.kill)

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _confirm_end(self) -> None:
        """Return when the server runs nothing of it any more."""
        if self._is_sent:
            self._ask(self._engine.control.end)
            self._is_sent = False

    def _ask(self, question: Callable[[Sequence[str]], None]) -> None:
        try:
            question(self._query_ids)
        except QueryEngineError as cause:
            # A server that does not answer is not asked again.
            self._is_sent = self._is_confirmed = False
            # Whoever reads knows already that the server is gone.
            if self._lost is None and not isinstance(cause.__cause__, ConnectionRefusedError):
                raise

    def _named(self, cause: Exception) -> QueryEngineError:
        found = super()._named(cause)
        if found.failure.reason is Reason.ENGINE_UNAVAILABLE:
            self._lost = self._lost or found
        elif isinstance(cause, Error) and cause.code is not None:
            # The server answers with an error when nothing runs any more.
            self._is_sent = False
        if self._lost is not None and found.failure.reason is not Reason.QUERY_CANCELLED:
            return self._lost
        return found

    def _failure(self, cause: Exception) -> QueryEngineError:
        return translated(cause, self._engine.options.address, self._statement.parameters, self._sent)

    def _prepare(self) -> tuple[PlacedText, dict[str, Encoded], dict[str, str]]:
        """Text, parameters and settings as they are sent."""
        statement, engine = self._statement, self._engine
        if statement.catalog:
            message = "ClickHouse has no catalogs; a schema is one of its databases"
            raise error(Reason.UNSUPPORTED, message, feature="catalog")
        check_schema(statement.schema)
        chosen = statement_settings(statement, engine.settings, engine.client.server_settings)
        calendar = engine.calendar(chosen.get("session_timezone", ""))
        text, parameters = prepared(statement.sql, statement.parameters, calendar, statement.allowed_functions)
        if is_policed(statement.sql):
            chosen |= policed_settings(engine.client.server_settings)
        if statement.enforced is not None:
            chosen |= identity(statement, engine.options.identity_settings)
        database = {"database": statement.schema} if statement.schema else {}
        return text, parameters, {**engine.settings, **chosen, **database}

    def _ask_rows(self, settings: Mapping[str, str], sql: str, parameters: Mapping[str, Any]) -> list[list[Any]]:
        """The rows of a small question, with the settings of the statement."""
        try:
            answer = self._engine.client.raw_query(
                sql,
                parameters={**parameters},
                settings={**settings, "query_id": self._query_ids[1]},
                fmt="JSONCompactEachRow",
            )
        except Exception as cause:
            raise self._failure(cause) from cause
        return rows_of(answer)

    def _ask_columns(
        self, text: PlacedText, parameters: dict[str, Encoded], settings: dict[str, str]
    ) -> tuple[list[str], list[str]]:
        described = text.within("DESCRIBE (\n", "\n)")
        self._sent = Sent(described, self._statement.sql)
        answer = self._engine.client.raw_query(
            described.sql,
            parameters=parameters,
            settings={**settings, "query_id": self._query_ids[1]},
            fmt="JSONCompactEachRow",
        )
        rows = rows_of(answer)
        return [row[0] for row in rows], [row[1] for row in rows]

    def _planned(self, names: list[str], types: list[str], stream: ArrowStream) -> pa.Schema:
        """Settle the schema and what each column needs."""
        fields = []
        arrived = stream.open()
        if len(arrived) != len(types):
            raise error(Reason.ENGINE_ERROR, f"ClickHouse announced {len(types)} columns and sent {len(arrived)}")
        zone = stream.zone or str(self._engine.client.server_tz)
        for name, kind, sent in zip(names, types, arrived, strict=True):
            try:
                target, convert = plan(parse(kind), sent.type, zone)
            except ValueError as cause:
                message = f"column {name!r}: {cause}; cast it to another type"
                raise error(Reason.UNSUPPORTED, message, feature="type") from cause
            fields.append(pa.field(name, target, sent.nullable, {b"engine_type": kind.encode()}))
            self._converts.append(convert)
        counted = stream.summary
        self._count(Counted(self._query_id, int(counted.get("read_rows", 0)), int(counted.get("read_bytes", 0)), 0))
        return pa.schema(fields)

    def _converted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = []
        # A name that ClickHouse makes from octets is no text, which Arrow takes only for a name it is not asked for.
        arrived = batch.rename_columns([str(number) for number in range(batch.num_columns)])
        for field, convert, column in zip(self._schema, self._converts, arrived.columns, strict=True):
            try:
                columns.append(convert(column) if convert is not None else column)
            except pa.ArrowInvalid as cause:
                message = f"column {field.name!r}: {cause}"
                if "UTF8" in str(cause):
                    message = (
                        f"column {field.name!r} has text that is not UTF-8; "
                        "select it as hex(…), base64Encode(…), toValidUTF8(…) or as a FixedString"
                    )
                raise error(Reason.STATEMENT_REJECTED, message) from cause
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _count(self, counted: Counted) -> None:
        """Numbers of the server, from the thread of the watch too; none of them goes back."""
        former = self._progress
        if former.fraction == 1.0:
            return
        rows, size = max(counted.rows, former.rows_scanned or 0), max(counted.bytes, former.bytes_scanned or 0)
        # The server's guess at all rows grows while it reads, and never says that it is done.
        fraction = min(counted.rows / counted.rows_expected, 0.99) if counted.rows_expected else 0.0
        fraction = max(fraction, former.fraction or 0.0)
        self._progress = Progress(fraction, rows, size, engine_query_id=self._query_id)

    def _lose(self, cause: QueryEngineError) -> None:
        """The server has fallen silent: wake the thread that reads from it."""
        self._lost = self._lost or QueryEngineError(Failure(Reason.ENGINE_UNAVAILABLE, cause.failure.message))
        stream = self._stream
        if stream is not None:
            stream.abandon()

    def _finish(self) -> None:
        self._engine.watch.forget(self._query_id)
        self._is_sent = False
        former = self._progress
        self._progress = Progress(1.0, former.rows_scanned, former.bytes_scanned, engine_query_id=self._query_id)
