"""One connection to PostgreSQL through ADBC: rows come by COPY, as Arrow, without a Python object per value."""

import os
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import adbc_driver_manager as adbc
import pyarrow as pa
from adbc_driver_manager._reader import AdbcRecordBatchReader
from adbc_driver_postgresql import StatementOptions

BATCH_BYTES: Final = 4 << 20
_DESCRIPTORS: Final = Path("/dev/fd")


class Session:
    """Not thread-safe, except `shut`."""

    def __init__(self, database: adbc.AdbcDatabase) -> None:
        """Connects."""
        self._connection = adbc.AdbcConnection(database)
        self._statement: adbc.AdbcStatement | None = None
        self._reader: Any = None
        self._socket: socket.socket | None = None

    def query(self, sql: str, values: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The rows of a small result. Values bind to $1, $2, … as text."""
        with adbc.AdbcStatement(self._connection) as statement:
            statement.set_options(**{StatementOptions.USE_COPY.value: "false"})
            statement.set_sql_query(sql)
            if values:
                columns = [pa.array([value], pa.string()) for value in values]
                batch = pa.RecordBatch.from_arrays(columns, [str(number) for number in range(len(values))])
                statement.bind_stream(pa.RecordBatchReader.from_batches(batch.schema, [batch]))
            handle, _ = statement.execute_query()
            reader = AdbcRecordBatchReader._import_from_c(handle.address)  # noqa: SLF001 - see `stream`
            try:
                rows: list[dict[str, Any]] = reader.read_all().to_pylist()
            finally:
                reader.close()
            return rows

    def describe(self, sql: str) -> pa.Schema:
        """The columns of a query that is not run."""
        with adbc.AdbcStatement(self._connection) as statement:
            statement.set_sql_query(sql)
            return pa.schema(statement.execute_schema())

    def stream(self, sql: str) -> pa.Schema:
        """Start a query whose rows `next_batch` reads. One per session."""
        self._statement = statement = adbc.AdbcStatement(self._connection)
        statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)})
        statement.set_sql_query(sql)
        handle, _ = statement.execute_query()
        # The one reader that keeps the SQLSTATE of what breaks in the middle; the public ones lose it.
        self._reader = AdbcRecordBatchReader._import_from_c(handle.address)  # noqa: SLF001
        return self._reader.schema

    def next_batch(self) -> pa.RecordBatch | None:
        """None at the end."""
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            return None

    def keep_socket(self, address: str | None, port: int | None) -> None:
        """Find the socket of this connection, by what the server says of our end, so that `shut` can end a call that
        waits on it. The driver does not offer it. By a Unix socket or through a proxy there is none to find. A
        second call does nothing.
        """
        if port is None or self._socket is not None:
            return
        for entry in tuple(_DESCRIPTORS.iterdir()):
            with suppress(OSError):
                descriptor = int(entry.name)
                if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    continue
                found = socket.socket(fileno=os.dup(descriptor))
                if found.family in {socket.AF_INET, socket.AF_INET6} and found.getsockname()[:2] == (address, port):
                    self._socket = found
                    return
                found.close()

    def shut(self) -> None:
        """From any thread: end the call in flight, and every later one, with a lost connection."""
        found = self._socket
        if found is not None:
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Releases everything, in the driver's order. Idempotent."""
        for held in (self._reader, self._statement, self._connection, self._socket):
            if held is not None:
                with suppress(adbc.Error, pa.ArrowException, OSError, RuntimeError):
                    held.close()
        self._reader = self._statement = self._socket = None
