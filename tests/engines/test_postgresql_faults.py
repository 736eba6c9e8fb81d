"""A PostgreSQL that dies, is paused, or comes back: named errors in bounded time, and nothing left behind."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from postgresql_support import ENDLESS, ENDLESS_ROWS, shared_server

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.base import Statement
from queryengine.engines.databases import SQLAlchemyEngine
from queryengine.engines.postgresql.control import Control
from tests.servers.postgresql import PostgreSQLServer

BOUND_SECONDS = 40.0


@pytest.fixture
def own() -> Iterator[PostgreSQLServer]:
    """A server that may be broken."""
    # Skips when there is none to start.
    shared_server()
    server = PostgreSQLServer()
    server.folder = Path(tempfile.mkdtemp())
    try:
        server.start()
        yield server
    finally:
        send(server, signal.SIGCONT)
        server.stop()


def send(server: PostgreSQLServer, number: signal.Signals) -> None:
    """To each process of the server, the first one first."""
    for process in server.processes:
        if process.poll() is None:
            below = psutil.Process(process.pid).children(recursive=True)
            for pid in (process.pid, *(child.pid for child in below)):
                # The others end by themselves when the first one has gone.
                with suppress(ProcessLookupError):
                    os.kill(pid, number)


def options(server: PostgreSQLServer) -> dict[str, object]:
    return {"url": server.url(), "connect_args": {"connect_timeout": 2}, "answer_timeout_seconds": 1}


class Reading:
    """An execution that a thread reads to its end."""

    def __init__(self, engine: SQLAlchemyEngine, sql: str) -> None:
        self.execution = engine.open(Statement(sql=sql, query_id="q"))
        self.told: BaseException | None = None
        self.rows = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.execution.start()
            for _ in self.execution.batches():
                self.rows.set()
        except QueryEngineError as cause:
            self.told = cause
        finally:
            self.execution.close()

    def reason(self) -> Reason:
        self._thread.join(BOUND_SECONDS)
        assert not self._thread.is_alive(), "it waits on"
        assert isinstance(self.told, QueryEngineError)
        return self.told.failure.reason


def becomes(server: PostgreSQLServer, running: int) -> bool:
    deadline = time.monotonic() + BOUND_SECONDS
    while server.running() != running and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return server.running() == running


@pytest.mark.parametrize("sql", [ENDLESS, ENDLESS_ROWS])
def test_a_server_that_is_killed(own: PostgreSQLServer, sql: str) -> None:
    engine = SQLAlchemyEngine("pg", options(own))
    reading = Reading(engine, sql)
    assert becomes(own, 1)
    send(own, signal.SIGKILL)
    assert reading.reason() is Reason.ENGINE_UNAVAILABLE
    with pytest.raises(QueryEngineError) as caught:
        engine.probe()
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE
    with engine.open(Statement(sql="SELECT 1", query_id="q")) as execution, pytest.raises(QueryEngineError) as caught:
        execution.start()
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE
    engine.close()


@pytest.mark.parametrize("sql", [ENDLESS, ENDLESS_ROWS])
def test_a_server_that_is_paused(own: PostgreSQLServer, sql: str) -> None:
    engine = SQLAlchemyEngine("pg", options(own))
    reading = Reading(engine, sql)
    assert becomes(own, 1)
    send(own, signal.SIGSTOP)
    assert reading.reason() is Reason.ENGINE_UNAVAILABLE
    with pytest.raises(QueryEngineError) as caught:
        engine.probe()
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE
    send(own, signal.SIGCONT)
    # It finds that nobody waits, and the same engine works again.
    assert becomes(own, 0)
    engine.probe()
    with engine.open(Statement(sql="SELECT 1 AS a", query_id="q")) as execution:
        execution.start()
        assert [batch.to_pylist() for batch in execution.batches()] == [[{"a": 1}]]
    engine.close()


def test_cancel_returns_also_when_the_server_is_paused(own: PostgreSQLServer) -> None:
    engine = SQLAlchemyEngine("pg", options(own))
    reading = Reading(engine, ENDLESS)
    assert becomes(own, 1)
    send(own, signal.SIGSTOP)
    before = time.monotonic()
    reading.execution.cancel()
    assert time.monotonic() - before < BOUND_SECONDS
    assert reading.reason() is Reason.QUERY_CANCELLED
    assert not reading.execution.cancel_confirmed
    send(own, signal.SIGCONT)
    assert becomes(own, 0)
    engine.close()


def test_one_connection_that_the_server_ends(own: PostgreSQLServer) -> None:
    engine = SQLAlchemyEngine("pg", options(own))
    reading = Reading(engine, ENDLESS_ROWS)
    assert reading.rows.wait(BOUND_SECONDS)
    pid = reading.execution.progress().engine_query_id
    with own.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [int(pid)])
    assert reading.reason() is Reason.ENGINE_UNAVAILABLE
    engine.close()


def test_a_fault_while_a_backend_is_ended_keeps_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    server = shared_server()
    engine = SQLAlchemyEngine("pg", options(server))
    execution = engine.open(Statement(sql=ENDLESS_ROWS, query_id="q"))
    execution.start()
    next(execution.batches())
    with monkeypatch.context() as patch:
        patch.setattr(Control, "end", lambda *_: divmod(1, 0))
        with pytest.raises(QueryEngineError) as caught:
            execution.close()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert becomes(server, 0)
    engine.close()
