"""The sessions of a worker: cursors on one instance, none of which serves two tenants.

A session keeps settings, random numbers, temporary objects and prepared statements, so each tenant gets its own. What
sessions share is the instance. Nothing that may run changes it, and it is looked at all the same before another tenant
comes: one that is not as it was opened is replaced.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import duckdb

from queryengine.engines.duckdb.setup import CONFIGS_AFTER_LOCK
from queryengine.engines.duckdb.text import literal

logger = logging.getLogger(__name__)

# SESSION, as DuckDB otherwise changes some settings for every query of the instance.
_EACH_CURSOR: Final = (
    "SET SESSION enable_progress_bar = true; SET SESSION enable_progress_bar_print = false; "
    "SET SESSION progress_bar_time = 0; PRAGMA enable_profiling = 'no_output'"
)
_END_TRANSACTION: Final = "ROLLBACK"
_DEADLINE: Final = "SET SESSION max_execution_time = {milliseconds}"

_SHARED: Final = (
    "SELECT list((database_name, path, readonly) ORDER BY database_name) FROM duckdb_databases()",
    "SELECT list((schema_name, table_name, estimated_size) ORDER BY table_oid) FROM duckdb_tables()",
    "SELECT list((schema_name, sequence_name, last_value) ORDER BY sequence_oid) FROM duckdb_sequences()",
    "SELECT list((schema_name, type_name) ORDER BY type_oid) FROM duckdb_types() WHERE NOT internal",
    "SELECT list(types::VARCHAR) FROM duckdb_external_resource_types() types",
    "SELECT list(resources::VARCHAR) FROM duckdb_external_resources() resources",
    "SELECT count(*) FROM duckdb_log_contexts()",
)
"""What one session could leave to another in an instance, by DuckDB's own lists. Views and macros are not among them:
only a transaction that writes makes one, and the engine's own views follow the files of a folder.
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A cursor that nobody uses now: its deadline, and whom it has served; None when it is new."""

    cursor: duckdb.DuckDBPyConnection
    milliseconds: int
    tenant: str | None
    in_transaction: bool = False
    """The transaction of the last execution is still open; it only read, and all of it was read."""


class Sessions:
    """Thread-safe. Keeps one unused session, as to set one up takes longer than a short query."""

    def __init__(self, open_instance: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        """Raises what `open_instance` raises."""
        self._open_instance = open_instance
        self.instance = open_instance()
        self._witness = Witness(self.instance)
        self._lock = threading.Lock()
        self._tenant: str | None = None
        """Whom the instance served last."""
        self._is_suspect = False
        self._spare: Session | None = None
        self._usual_milliseconds = 0

    def take(self, tenant: str, milliseconds: int) -> duckdb.DuckDBPyConnection:
        """A cursor for a statement of a tenant with this deadline. Raises what `open_instance` raises, when the
        instance had to be replaced.
        """
        with self._lock:
            if self._is_suspect or (tenant != self._tenant and self._tenant is not None):
                self._hand_over()
            self._tenant = tenant
            self._is_suspect = False
            if self._spare is not None and self._spare.tenant not in (None, tenant):
                self._drop_spare()
            self._end_transaction()
            spare, self._spare = self._spare, None
            self._usual_milliseconds = milliseconds
            if spare is None:
                return self._set_up(milliseconds)
        if spare.milliseconds != milliseconds:
            spare.cursor.execute(_DEADLINE.format(milliseconds=milliseconds))
        return spare.cursor

    def give_back(self, cursor: duckdb.DuckDBPyConnection, tenant: str, milliseconds: int) -> None:
        """Keep a cursor on which an execution has left nothing but its transaction, for the same tenant. `prepare` ends
        the transaction, so that whoever waits for the execution does not wait for that.
        """
        with self._lock:
            self._drop_spare()
            self._spare = Session(cursor, milliseconds, tenant, in_transaction=True)

    def ask(self, sql: str) -> list[Any]:
        """The rows of a small question about the instance."""
        with self._lock, self.instance.cursor() as cursor:
            rows: list[Any] = cursor.execute(sql).fetchall()
            return rows

    def suspect(self) -> None:
        """Look at the instance before the next session, and replace it when it cannot be used. After an error that is
        DuckDB's own it may refuse every statement.
        """
        with self._lock:
            self._is_suspect = True
            self._drop_spare()

    def prepare(self) -> None:
        """Set a session up ahead. Never raises."""
        with self._lock:
            self._end_transaction()
            if self._spare is None:
                milliseconds = self._usual_milliseconds
                with suppress(duckdb.Error):
                    self._spare = Session(self._set_up(milliseconds), milliseconds, None)

    def close(self) -> None:
        """Release everything. Idempotent."""
        with self._lock:
            self._drop_spare()
            self._witness.close()
            self.instance.close()

    def _end_transaction(self) -> None:
        """Of the spare session, if it is in one; it is dropped when that fails."""
        spare = self._spare
        if spare is None or not spare.in_transaction:
            return
        try:
            spare.cursor.execute(_END_TRANSACTION)
        except duckdb.Error:
            self._drop_spare()
        else:
            self._spare = replace(spare, in_transaction=False)

    def _drop_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.cursor.close()

    def _set_up(self, milliseconds: int) -> duckdb.DuckDBPyConnection:
        cursor = self.instance.cursor()
        cursor.execute(_EACH_CURSOR)
        if milliseconds:
            cursor.execute(_DEADLINE.format(milliseconds=milliseconds))
        return cursor

    def _hand_over(self) -> None:
        """Make sure that the next tenant finds the instance as it was opened."""
        if self._witness.sees_no_change():
            return
        logger.error("a DuckDB instance is not as it was opened; it is replaced")
        self._drop_spare()
        self._witness.close()
        self.instance.close()
        self.instance = self._open_instance()
        self._witness = Witness(self.instance)


class Witness:
    """A session in which nothing of a user runs, to compare an instance with itself at the time it was opened.

    Settings are looked at one by one: most are locked, and to list all of them takes longer than to run a query.
    """

    def __init__(self, instance: duckdb.DuckDBPyConnection) -> None:
        self._session = instance.cursor()
        for number, query in enumerate(_SHARED):
            self._session.execute(f"PREPARE shared_{number} AS {query}")
        settings = ", ".join(f"current_setting({literal(name)})" for name in CONFIGS_AFTER_LOCK)
        self._settings = f"SELECT current_setting('enable_logging'), current_setting('lock_configuration'), {settings}"
        self._at_first = self._look()

    def sees_no_change(self) -> bool:
        """Whether all is as it was at first; False also when DuckDB cannot say."""
        try:
            return self._look() == self._at_first
        except duckdb.Error:
            return False

    def close(self) -> None:
        self._session.close()

    def _look(self) -> list[Any]:
        shared = [self._session.execute(f"EXECUTE shared_{number}").fetchall() for number in range(len(_SHARED))]
        return [*shared, self._session.execute(self._settings).fetchall()]
