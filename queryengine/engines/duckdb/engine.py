"""DuckDB, embedded: a database file, a folder of Parquet and CSV files, or tables in memory.

Every execution has a cursor to itself, in a read-only transaction, on one locked-down instance. Nothing but
`interrupt` and `query_progress` may touch a cursor while a call on it is in flight.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import duckdb
import pyarrow as pa

from queryengine.codec.nesting import Convert
from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.refreshed import Refreshed
from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.base import Engine, EngineTraits, OptionError, PolicyProblem, Progress, Statement
from queryengine.engines.duckdb import row_security
from queryengine.engines.duckdb.check import StatementCheck, default_check
from queryengine.engines.duckdb.errors import INTERNAL, facts_of, translated
from queryengine.engines.duckdb.functions import ALLOWED, REFUSED
from queryengine.engines.duckdb.live_tables import live_tables
from queryengine.engines.duckdb.parameters import bind
from queryengine.engines.duckdb.sessions import Sessions
from queryengine.engines.duckdb.setup import (
    SESSION_SETTINGS,
    DuckDBOptions,
    open_instance,
    problems,
    unused_patterns,
    warnings,
)
from queryengine.engines.duckdb.text import identifier, literal
from queryengine.engines.duckdb.types import canonical, plan, type_name
from queryengine.engines.duckdb.views import FolderViews
from queryengine.engines.kit import alike
from queryengine.engines.kit.checking import allowed_functions
from queryengine.engines.kit.executions import OpenExecutions
from queryengine.engines.kit.guarded import GuardedExecution, check_columns
from queryengine.engines.kit.parameters import with_short_integers
from queryengine.engines.kit.row_security.comparing import compared
from queryengine.engines.kit.row_security.problems import problems as policy_problems
from queryengine.engines.kit.session_settings import check_settings
from queryengine.engines.kit.spill import remove_spill

_READ_ONLY: Final = "BEGIN TRANSACTION READ ONLY"
_SCANNED: Final = re.compile(r'"(total_rows_scanned|total_bytes_read)": *(\d+)')
"""In a profile, which is JSON of many times this size. A quote in the SQL text that is in it too has a backslash."""
_MAY_BE_OUTDATED: Final = frozenset({"Binder", "Catalog", "Conversion", "IO", "Invalid Input", "Not implemented"})
"""The types of an error that a changed file can be the cause of."""
_REMEMBERED_MAX: Final = 64


class DuckDBEngine(Engine):
    type_name = "duckdb"

    @classmethod
    def traits(cls, options: Mapping[str, Any]) -> EngineTraits:
        DuckDBOptions.parse(options)
        return EngineTraits(
            named_parameters=True,
            positional_parameters=True,
            streams=True,
            back_pressure=True,
            cancel_confirmed=True,
            sandbox=True,
            progress=True,
            scan_statistics=True,
            catalog=True,
            schema=True,
            session_settings=SESSION_SETTINGS,
            embedded=True,
        )

    @classmethod
    def problems(cls, options: Mapping[str, Any]) -> list[OptionError]:
        return problems(DuckDBOptions.parse(options))

    @classmethod
    def known_functions(cls, options: Mapping[str, Any]) -> frozenset[str]:
        # Those of an extension that a statement loads are not among its own.
        return frozenset() if options.get("init_sql") else ALLOWED.union(*REFUSED.values())

    @classmethod
    def warnings(cls, options: Mapping[str, Any]) -> list[OptionError]:
        return warnings(DuckDBOptions.parse(options))

    @classmethod
    def check(cls, sql: str, options: Mapping[str, Any]) -> None:
        default_check().check(sql, allowed_functions(options))

    @classmethod
    def analyse(cls, sql: str, options: Mapping[str, Any]) -> Analysis:
        return default_check().analyse(sql, allowed_functions(options))

    @classmethod
    def secured(cls, sql: str, policy: RowPolicy, options: Mapping[str, Any]) -> SecuredText:  # noqa: ARG003
        return row_security.secured(sql, policy)

    @classmethod
    def policy_problems(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[PolicyProblem]:  # noqa: ARG003
        return policy_problems(policy, row_security.GRAMMAR)

    @classmethod
    def compared_columns(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[tuple[int, str]]:  # noqa: ARG003
        return compared(policy, row_security.GRAMMAR)

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.options = DuckDBOptions.parse(options)
        directory, readers = self.options.directory, self.options.readers()
        self.views = FolderViews(name, directory, readers) if directory else None
        for each in unused_patterns(self.options):
            alike.logger.warning("engine %s: %s", name, each)
        self.sessions = Sessions(lambda: open_instance(name, self.options, self.views))
        self._check = StatementCheck(self.sessions.instance)
        self._allowed = frozenset(map(str.lower, self.options.allow_functions))
        self.executions: OpenExecutions[DuckDBExecution] = OpenExecutions()
        self.placeholders = lru_cache(_REMEMBERED_MAX)(self._placeholders)
        """Names of the placeholders in a text that passes the check; services repeat their statements."""

    def version(self) -> str:
        return f"DuckDB {duckdb.__version__}"

    def open(self, statement: Statement) -> "DuckDBExecution":
        return self.executions.add(DuckDBExecution(self, statement))

    def refresh(self) -> Refreshed:
        if self.views is None:
            return super().refresh()
        return self.views.changes(is_in_use=any(self.executions))

    def explain(self, statement: Statement) -> str:
        # As it is first: behind EXPLAIN, a text that begins with ANALYZE would run.
        self.placeholders(statement.sql, statement.allowed_functions)
        with self.open(replace(statement, sql=f"EXPLAIN {statement.sql}")) as execution:
            execution.start()
            rows = [row for batch in execution.batches() for row in batch.to_pylist()]
        return "\n".join(str(row["explain_value"]) for row in rows)

    def live_tables(self, tables: Sequence[AskedTable]) -> Sequence[LiveTable | None]:
        if self.views is not None and not any(self.executions):
            self.views.refresh(now=True)
        try:
            return live_tables(tables, self.sessions.ask)
        except duckdb.Error as cause:
            raise translated(cause, "") from cause

    def prepare(self) -> None:
        self.sessions.prepare()

    def close(self) -> None:
        self.executions.close()
        if self.views is not None:
            self.views.close()
        self.sessions.close()
        self._check.close()
        remove_spill(self.options.temp_directory)

    def _placeholders(self, sql: str, allowed: frozenset[str]) -> frozenset[str]:
        # Once more in this process: only its instance knows the functions of extensions.
        return frozenset(self._check.check(sql, self._allowed | allowed).named_parameters)


class DuckDBExecution(GuardedExecution):
    def __init__(self, engine: DuckDBEngine, statement: Statement) -> None:
        super().__init__(engine.executions)
        self._engine = engine
        self._statement = statement
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._reader: pa.RecordBatchReader | None = None
        self._schema = pa.schema([])
        self._converts: list[Convert | None] = []
        self._progress = Progress()
        self._milliseconds = max(1, int(statement.execution_timeout_seconds * 1000))
        self._is_clean = not engine.options.allow_functions and not statement.allowed_functions
        """Nothing of this execution would show to another one on the same cursor."""
        self._has_ended = False

    def _begin(self) -> pa.Schema:
        parameters = bind(self._statement.parameters, self._names())
        self._cursor = cursor = self._engine.sessions.take(self._statement.tenant, self._milliseconds)
        self._hold(self._give_back, cursor)
        if self._engine.views is not None:
            self._engine.views.refresh()
            self._engine.views.check_names(self._statement.sql)
        self._prepare(cursor)
        try:
            relation = self._bound(cursor, parameters)
        except duckdb.Error as cause:
            relation = self._with_short_integers(cursor, cause)
            if relation is None:
                raise self._located(cursor, parameters, cause) from cause
        self._reader = self._read(cursor, relation)
        return self._schema

    def _bound(self, cursor: duckdb.DuckDBPyConnection, parameters: Any) -> duckdb.DuckDBPyRelation:
        """The statement with its names resolved; once more when files have changed since the folder was looked at."""
        try:
            return cursor.sql(self._statement.sql, params=parameters)
        except duckdb.Error as cause:
            views = self._engine.views
            if views is None or facts_of(cause).kind not in _MAY_BE_OUTDATED or not views.refresh(now=True):
                raise
            self._begin_again(cursor)
            return cursor.sql(self._statement.sql, params=parameters)

    def _names(self) -> frozenset[str]:
        statement = self._statement
        return self._engine.placeholders(statement.sql, statement.allowed_functions)

    def _with_short_integers(
        self, cursor: duckdb.DuckDBPyConnection, cause: duckdb.Error
    ) -> duckdb.DuckDBPyRelation | None:
        """The statement once more where it does not bind with integers of 64 bits; None when it does not either way."""
        shorter = with_short_integers(self._statement.parameters)
        if shorter is None or not isinstance(cause, duckdb.BinderException):
            return None
        self._begin_again(cursor)
        with suppress(duckdb.Error):
            sql = self._statement.sql
            return cursor.sql(sql, params=bind(shorter, self._names()))
        return None

    def _batches(self) -> Iterator[pa.RecordBatch]:
        assert self._reader is not None
        for batch in self._reader:
            columns = [
                convert(column) if convert is not None else column
                for convert, column in zip(self._converts, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=self._schema)
        self._finish()

    def _snapshot(self) -> Progress:
        cursor = self._cursor
        if cursor is not None and self._progress.fraction != 1.0:
            with suppress(duckdb.Error):
                # Minus one until DuckDB can say.
                fraction = cursor.query_progress() / 100
                if fraction > (self._progress.fraction or 0.0):
                    self._progress = Progress(fraction=min(fraction, 1.0))
        return self._progress

    def _interrupt(self) -> None:
        cursor = self._cursor
        if cursor is not None:
            with suppress(duckdb.Error):
                cursor.interrupt()

    def _give_back(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = None
        # An execution that was interrupted has not ended, so that no interrupt can reach the next one.
        if self._has_ended and self._is_clean:
            self._engine.sessions.give_back(cursor, self._statement.tenant, self._milliseconds)
        else:
            with suppress(duckdb.Error):
                cursor.close()

    def _failure(self, cause: Exception, *, skipped: int = 0) -> QueryEngineError:
        views = self._engine.views
        facts = facts_of(cause)
        if facts.kind in INTERNAL:
            self._engine.sessions.suspect()
        about_file = views.explain(facts) if views is not None else None
        return about_file or translated(cause, self._statement.sql, skipped=skipped)

    def _prepare(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Everything a user may set, and the transaction that cannot write."""
        statement = self._statement
        check_settings(statement, SESSION_SETTINGS)
        for name, value in statement.session_settings.items():
            self._is_clean = False
            cursor.execute(f"SET SESSION {name} = {literal(value)}")
        if statement.catalog or statement.schema:
            self._is_clean = False
            home = [statement.catalog or _current_catalog(cursor), statement.schema]
            cursor.execute(f"USE {'.'.join(identifier(part) for part in home if part)}")
        cursor.execute(_READ_ONLY)

    def _read(self, cursor: duckdb.DuckDBPyConnection, relation: duckdb.DuckDBPyRelation) -> pa.RecordBatchReader:
        """Start the execution, and settle the schema and what each column needs."""
        names, types = relation.columns, relation.types
        check_columns(names)
        how = plan(types)
        if how.lossless:
            self._is_clean = False
            cursor.execute("SET SESSION arrow_lossless_conversion = true")
        if how.projection is not None:
            relation = relation.project(how.projection)
        reader = relation.to_arrow_reader(how.batch_rows)
        # A reader owns its connection, so it is closed before that is given back.
        self._hold(reader.close)
        fields = []
        for name, duckdb_type, exported in zip(names, types, reader.schema, strict=True):
            target, convert = canonical(exported.type)
            metadata = {**(exported.metadata or {}), b"engine_type": type_name(duckdb_type).encode()}
            fields.append(pa.field(name, target, exported.nullable, metadata))
            self._converts.append(convert)
        self._schema = pa.schema(fields)
        return reader

    def _finish(self) -> None:
        counts: dict[str, int] = {}
        with suppress(duckdb.Error):
            if self._cursor is not None:
                profile = self._cursor.get_profiling_information()
                counts = {name: int(count) for name, count in _SCANNED.findall(profile)}
        rows = counts.get("total_rows_scanned")
        # 0 for tables in memory, of which DuckDB counts no bytes.
        read_bytes = counts.get("total_bytes_read") or None
        self._progress = Progress(fraction=1.0, rows_scanned=rows, bytes_scanned=read_bytes)
        self._has_ended = True

    def _located(self, cursor: duckdb.DuckDBPyConnection, parameters: Any, cause: duckdb.Error) -> QueryEngineError:
        """The failure for a statement that does not bind. `sql` loses the place of such an error, EXPLAIN
        reports it.
        """
        sql = self._statement.sql
        if facts_of(cause).offset is None and not self._calls.stopped:
            prefix = "EXPLAIN "
            try:
                self._begin_again(cursor)
                cursor.execute(prefix + sql, parameters)
            except duckdb.Error as again:
                facts = facts_of(again)
                if facts.offset is not None and facts.kind == facts_of(cause).kind:
                    return self._failure(again, skipped=len(prefix))
        return self._failure(cause)

    def _begin_again(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """A new transaction for the same statement: the former one has failed, or does not see the newest views."""
        cursor.execute("ROLLBACK")
        cursor.execute(_READ_ONLY)


def _current_catalog(cursor: duckdb.DuckDBPyConnection) -> str:
    """In which a schema is looked up: DuckDB takes a name alone for a catalog, too."""
    row = cursor.execute("SELECT current_catalog()").fetchone()
    assert row is not None, "it is one row"
    return str(row[0])
