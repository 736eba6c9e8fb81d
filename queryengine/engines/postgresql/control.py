"""A second connection beside those that work: it cancels, asks whether a statement still runs, and notices when
the server is silent.

A call of the driver waits for the server without a limit, and a server whose processes are stopped still answers TCP.
So every question here has a limit, and while executions wait, a thread asks for a sign of life.
"""

import select
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg.pq import ExecStatus

from queryengine.engines.postgresql.options import APPLICATION, PostgreSQLOptions

_NAME: Final = f"{APPLICATION} monitor"
"""In the server's list of what is connected."""
ASK_EVERY_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.01


class SilentError(Exception):
    """The server did not answer in time."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The server's process of one connection. A process id may come again; the moment of its start does not."""

    pid: int
    started: str

    @property
    def key(self) -> tuple[str, str]:
        return str(self.pid), self.started


_THIS: Final = "FROM pg_catalog.pg_stat_activity WHERE pid = $1::int AND backend_start = $2::timestamptz"


class Control:
    """Thread-safe: one question at a time. Connects when it is first asked, and again when the connection is lost."""

    def __init__(self, options: PostgreSQLOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._connection: psycopg.Connection | None = None
        self._is_closed = False

    def cancel(self, backend: Backend) -> None:
        """Ask a backend once to stop what it runs. Raises as `ask`."""
        self.ask(f"SELECT pg_catalog.pg_cancel_backend(pid) {_THIS}", backend.key)

    def end(self, backend: Backend) -> None:
        """End a backend, also one that waits for its client to read; returns when it is gone. Raises as `ask`."""
        deadline = time.monotonic() + self._options.answer_timeout_seconds
        while self.ask(f"SELECT pg_catalog.pg_terminate_backend(pid) {_THIS}", backend.key):
            if time.monotonic() > deadline:
                raise SilentError("the server does not end a statement")
            threading.Event().wait(LOOK_SECONDS)

    def ask(self, sql: str, values: Sequence[str] = ()) -> list[list[bytes | None]]:
        """Rows as text. Raises SilentError when there is no answer in time, and psycopg.Error."""
        with self._lock:
            if self._is_closed:
                raise psycopg.InterfaceError("the engine is closed")
            if self._connection is not None and not self._is_usable(self._connection):
                self._drop()
            if self._connection is None:
                self._connection = self._connect()
            try:
                return self._answer(self._connection, sql, values)
            except BaseException:
                self._drop()
                raise

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._drop()

    def _connect(self) -> psycopg.Connection:
        try:
            connection = psycopg.connect(self._options.conninfo, autocommit=True)
        except psycopg.errors.ConnectionTimeout as cause:
            raise SilentError(str(cause)) from cause
        try:
            self._answer(connection, "SELECT pg_catalog.set_config('application_name', $1, false)", (_NAME,))
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_usable(self, connection: psycopg.Connection) -> bool:
        """Between two questions the server says nothing, unless it ends the connection."""
        with suppress(psycopg.Error, OSError):
            return not select.select([connection.pgconn.socket], [], [], 0)[0]
        return False

    def _answer(self, connection: psycopg.Connection, sql: str, values: Sequence[str]) -> list[list[bytes | None]]:
        raw = connection.pgconn
        deadline = time.monotonic() + self._options.answer_timeout_seconds
        raw.send_query_params(sql.encode(), [value.encode() for value in values] or None)
        rows: list[list[bytes | None]] = []
        while True:
            while raw.is_busy():
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not select.select([raw.socket], [], [], remaining)[0]:
                    seconds = self._options.answer_timeout_seconds
                    raise SilentError(f"the server has not answered for {seconds:g} seconds")
                raw.consume_input()
            result = raw.get_result()
            if result is None:
                return rows
            if result.status not in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
                raise psycopg.errors.error_from_result(result)
            rows += [
                [result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples)
            ]

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class Watch:
    """While something waits for the server, asks it for a sign of life, in a thread, and reports when none comes."""

    def __init__(self, control: Control, lost: Callable[[Exception], None]) -> None:
        """`lost` is called from the thread of the watch with the cause, and ends what waits."""
        self._control = control
        self._lost = lost
        self._needed = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postgresql-watch", daemon=True)
        self._thread.start()

    def need(self, needed: bool) -> None:
        if needed:
            self._needed.set()
        else:
            self._needed.clear()
            if self._closed.is_set():
                # The thread must not miss that it is over.
                self._needed.set()

    def close(self) -> None:
        """Returns when the thread is gone. Idempotent."""
        self._closed.set()
        self._needed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            self._needed.wait()
            if self._closed.wait(ASK_EVERY_SECONDS) or not self._needed.is_set():
                continue
            try:
                self._control.ask("SELECT 1")
            except SilentError as cause:
                self._lost(cause)
            except psycopg.Error:
                # It answers, if only with a refusal; a connection that broke fails whatever waits on it.
                continue
