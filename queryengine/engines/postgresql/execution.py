"""One statement on PostgreSQL, in a connection and a read-only transaction of its own."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import adbc_driver_manager as adbc
import psycopg
import pyarrow as pa

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.base import Progress, Statement
from queryengine.engines.kit.guarded import GuardedExecution, check_columns
from queryengine.engines.kit.interrupting import cancelled
from queryengine.engines.kit.parameters import bound, check_names, with_short_integers
from queryengine.engines.kit.sqlstates import QUERY_CANCELED
from queryengine.engines.kit.sqltemplate import PlacedText, Template
from queryengine.engines.postgresql.check import check
from queryengine.engines.postgresql.control import Backend, SilentError
from queryengine.engines.postgresql.enforcement import NOT_CALLED, require_row_security
from queryengine.engines.postgresql.errors import translated, words
from queryengine.engines.postgresql.options import APPLICATION
from queryengine.engines.postgresql.parameters import Rendered, render
from queryengine.engines.postgresql.session import Session
from queryengine.engines.postgresql.settings import (
    check_home,
    transaction_settings,
)
from queryengine.engines.postgresql.types import Plan, plan

if TYPE_CHECKING:
    from queryengine.engines.postgresql.engine import PostgreSQLEngine

_WRONG_TYPES: Final = frozenset({"42804", "42883", "42725", "42846"})
"""What the server says where no function, operator or place takes the types that parameters have."""
_BEGIN: Final = """
SELECT pid, pg_catalog.host(pg_catalog.inet_client_addr()) AS address, pg_catalog.inet_client_port() AS port,
backend_start::text AS started{settings}
FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()
"""


class PostgreSQLExecution(GuardedExecution):
    def __init__(self, engine: "PostgreSQLEngine", statement: Statement) -> None:
        super().__init__(engine.executions)
        self._engine = engine
        self._statement = statement
        self._session: Session | None = None
        self._backend: Backend | None = None
        self._sent: PlacedText | None = None
        """What the server has now, for the places that it reports."""
        self._plan = Plan(())
        self._schema = pa.schema([])
        self._lost: Exception | None = None
        self._deadline = float("inf")
        self._has_ended = False

    def _begin(self) -> pa.Schema:
        statement = self._statement
        check_home(statement)
        query, template = check(statement.sql)
        kept = NOT_CALLED if statement.enforced is not None else frozenset[str]()
        self._engine.guard.check(query, statement.allowed_functions - kept)
        check_names(statement.parameters, set(template.names))
        parameters = bound(statement.parameters, render)
        self._session = session = self._engine.connect()
        self._hold(session.close)
        self._hold(self._end_backend, session)
        self._begin_transaction(session)
        try:
            text, described = self._bind(session, template, parameters)
        except adbc.Error as cause:
            text, described = self._with_short_integers(session, template, cause)
        return self._run(session, text, described)

    def _run(self, session: Session, text: PlacedText, described: pa.Schema) -> pa.Schema:
        self._plan = plan(described, lambda oid: _name_of_type(session, oid))
        self._schema = self._plan.schema
        check_columns(self._schema.names)
        if self._plan.projection is not None:
            text = text.within(*self._plan.projection)
        # The driver puts it between these two.
        self._sent = text.within("COPY (", ") TO STDOUT (FORMAT binary)")
        session.stream(text.sql)
        return self._schema

    def _batches(self) -> Iterator[pa.RecordBatch]:
        session = self._session
        assert session is not None
        while (batch := session.next_batch()) is not None:
            yield self._plan.apply(batch, self._schema)
        self._has_ended = True

    def _snapshot(self) -> Progress:
        backend = self._backend
        return Progress(engine_query_id=str(backend.pid) if backend is not None else "")

    def lose(self, cause: Exception) -> None:
        """Whoever waits for the server waits no longer."""
        self._lost = cause
        session = self._session
        if session is not None:
            session.shut()

    def _interrupt(self) -> None:
        backend = self._backend
        if backend is None:
            return
        try:
            self._engine.control.cancel(backend)
        except (psycopg.Error, SilentError) as cause:
            self.lose(cause)

    def _end_backend(self, session: Session) -> None:
        """Of an execution that did not come to its end the server may still work, or wait for a reader; its process is
        ended, and gone when this returns. A server that does not answer sees that we are gone when it looks.
        """
        if self._has_ended or self._backend is None:
            return
        try:
            self._is_confirmed = self._lost is None and self._is_gone(self._backend)
        finally:
            session.shut()

    def _is_gone(self, backend: Backend) -> bool:
        """End a backend; False when the server did not answer."""
        try:
            self._engine.control.end(backend)
        except (psycopg.Error, SilentError):
            return False
        return True

    def _failure(self, cause: Exception) -> QueryEngineError:
        if self._lost is not None:
            return error(Reason.ENGINE_UNAVAILABLE, f"the connection to the server is lost: {words(self._lost)}")
        if getattr(cause, "sqlstate", None) == QUERY_CANCELED and time.monotonic() >= self._deadline:
            return error(Reason.QUERY_TIMEOUT, words(cause), sql_state=QUERY_CANCELED)
        return translated(cause, self._sent, self._statement.sql)

    def _begin_transaction(self, session: Session) -> None:
        """A transaction that cannot write, with everything that a user or we may set; it ends with the connection."""
        statement = self._statement
        milliseconds = max(1, int(statement.execution_timeout_seconds * 1000))
        settings = {**self._engine.client_check, **transaction_settings(statement, milliseconds)}
        session.query("BEGIN TRANSACTION READ ONLY")
        set_configs = [
            f", pg_catalog.set_config(${number}, ${number + 1}, true)" for number in range(1, 2 * len(settings), 2)
        ]
        values = [each for setting in settings.items() for each in setting]
        [row] = session.query(_BEGIN.format(settings="".join(set_configs)), values)
        self._deadline = time.monotonic() + milliseconds / 1000
        session.keep_socket(row["address"], row["port"])
        self._backend = Backend(row["pid"], row["started"])
        if self._calls.stopped:
            raise cancelled()
        if role := self._engine.role_of(statement.tenant):
            session.query("SELECT pg_catalog.set_config('role', $1, true)", [role])
        if statement.enforced:
            require_row_security(statement.enforced, session.query)
        if statement.schema:
            self._use_schema(session, statement.schema)

    def _use_schema(self, session: Session, schema: str) -> None:
        sql = (
            "SELECT pg_catalog.set_config('search_path', pg_catalog.quote_ident($1), true) "
            "FROM pg_catalog.pg_namespace WHERE nspname = $1"
        )
        if not session.query(sql, [schema]):
            raise error(Reason.STATEMENT_REJECTED, f'schema "{schema}" does not exist', sql_state="3F000")

    def _bind(
        self, session: Session, template: Template, parameters: Mapping[str, Rendered]
    ) -> tuple[PlacedText, pa.Schema]:
        """The statement with each placeholder replaced by an expression of its type that reads the bound value, and the
        columns that the server reports.
        """
        if not parameters:
            self._sent = text = template.filled({})
            return text, session.describe(text.sql)
        types = self._settled(session, template, parameters)
        nulls = ", ".join("NULL" for _ in parameters)
        described = session.describe(f"EXECUTE {APPLICATION} ({nulls})")
        replacements, bound = {}, []
        for number, ((name, parameter), kind) in enumerate(zip(parameters.items(), types, strict=True), 1):
            read = "NULL"
            if parameter.text is not None:
                setting = f"{APPLICATION}.p{number}"
                bound += [setting, parameter.text]
                read = f"pg_catalog.current_setting('{setting}')"
            replacements[name] = f"({read}::{kind})"
        if bound:
            calls = [f"pg_catalog.set_config(${n}, ${n + 1}, true)" for n in range(1, len(bound), 2)]
            session.query(f"SELECT {', '.join(calls)}", bound)
        return template.filled(replacements), described

    def _with_short_integers(
        self, session: Session, template: Template, cause: adbc.Error
    ) -> tuple[PlacedText, pa.Schema]:
        """The statement once more where it does not bind with integers of 64 bits. Raises the former failure when it
        does not either way.
        """
        shorter = with_short_integers(self._statement.parameters)
        if shorter is None or getattr(cause, "sqlstate", None) not in _WRONG_TYPES:
            raise cause
        sent = self._sent
        session.query("ROLLBACK")
        self._begin_transaction(session)
        try:
            return self._bind(session, template, bound(shorter, render))
        except adbc.Error:
            self._sent = sent
            raise cause from None

    def _settled(self, session: Session, template: Template, parameters: Mapping[str, Rendered]) -> list[str]:
        """The types of the parameters. A list without elements is what its place asks for, else one of text."""
        lists = {name: Rendered("text[]", each.text) for name, each in parameters.items() if each.is_list}
        if not lists:
            return self._prepare(session, template, parameters)
        session.query(f"SAVEPOINT {APPLICATION}")
        try:
            types = self._prepare(session, template, parameters)
        except adbc.Error:
            session.query(f"ROLLBACK TO {APPLICATION}")
        else:
            pairs = zip(parameters.values(), types, strict=True)
            if all(kind.endswith("[]") for each, kind in pairs if each.is_list):
                return types
            session.query(f"DEALLOCATE {APPLICATION}")
        return self._prepare(session, template, {**parameters, **lists})

    def _prepare(self, session: Session, template: Template, parameters: Mapping[str, Rendered]) -> list[str]:
        """The types that the server settles, with the names of columns, as it would for parameters that it binds."""
        numbers = {name: f"${number}" for number, name in enumerate(parameters, 1)}
        types = ", ".join(each.type for each in parameters.values())
        self._sent = template.filled(numbers).within(f"PREPARE {APPLICATION} ({types}) AS ")
        session.query(self._sent.sql)
        sql = "SELECT parameter_types::text[] AS types FROM pg_catalog.pg_prepared_statements WHERE name = $1"
        [row] = session.query(sql, [APPLICATION])
        found: list[str] = row["types"]
        return found


def _name_of_type(session: Session, oid: int) -> str:
    [row] = session.query("SELECT pg_catalog.format_type($1::oid, NULL) AS name", [str(oid)])
    return str(row["name"])
