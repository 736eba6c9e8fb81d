"""ClickHouse out of reach: refused, killed, silent, cut off, wrong credentials: a named failure, in bounded time.

A server that is hurt belongs to one test.
"""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.engines.base import Statement
from queryengine.engines.clickhouse.engine import ClickHouseEngine
from tests.servers.clickhouse import PASSWORD, USER, ClickHouseServer
from tests.servers.server import shared

ENDLESS_START = Statement(sql="SELECT count() FROM numbers(1000000000000000) WHERE NOT ignore(number)", query_id="q")
ENDLESS_ROWS = Statement(sql="SELECT number FROM numbers(1000000000000)", query_id="q")
BOUND_SECONDS = 30.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    if os.environ.get("CLICKHOUSE_URL"):
        pytest.skip("a server that others use is not killed")
    shared(ClickHouseServer)
    server = ClickHouseServer()
    server.folder = tmp_path / "server"
    server.folder.mkdir()
    try:
        server.start()
        yield server
    finally:
        for process in server.processes:
            process.send_signal(signal.SIGCONT)
        server.stop()


@pytest.fixture
def engine(server: ClickHouseServer) -> Iterator[ClickHouseEngine]:
    engine = ClickHouseEngine("ch", {**server.options(), "read_timeout_seconds": 2.0})
    yield engine
    engine.close()


def failure_of(action: Callable[[], object]) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        action()
    return caught.value.failure


def reader(engine: ClickHouseEngine, statement: Statement) -> tuple[threading.Thread, threading.Event, list[Failure]]:
    """Reads on a thread of its own; the event is set when the server works on it."""
    failures: list[Failure] = []
    working = threading.Event()
    execution = engine.open(statement)

    def run() -> None:
        try:
            with execution:
                execution.start()
                for _ in execution.batches():
                    working.set()
        except QueryEngineError as error:
            failures.append(error.failure)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + BOUND_SECONDS
    while not (working.is_set() or execution.progress().rows_scanned) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return thread, working, failures


@pytest.mark.parametrize("statement", [ENDLESS_START, ENDLESS_ROWS], ids=["start", "rows"])
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "silent"])
def test_a_server_that_is_gone_is_a_named_failure(
    server: ClickHouseServer, engine: ClickHouseEngine, statement: Statement, blow: signal.Signals
) -> None:
    thread, _, failures = reader(engine, statement)
    server.processes[0].send_signal(blow)
    thread.join(BOUND_SECONDS)
    assert not thread.is_alive()
    assert [each.reason for each in failures] == [Reason.ENGINE_UNAVAILABLE]
    assert failures[0].retryable
    assert PASSWORD not in failures[0].message
    assert failure_of(engine.probe).reason is Reason.ENGINE_UNAVAILABLE


def test_cancel_on_a_silent_server_is_bounded_and_does_not_claim_success(
    server: ClickHouseServer, engine: ClickHouseEngine
) -> None:
    execution = engine.open(ENDLESS_ROWS)
    execution.start()
    next(execution.batches())
    server.processes[0].send_signal(signal.SIGSTOP)
    before = time.monotonic()
    assert failure_of(execution.cancel).reason is Reason.ENGINE_UNAVAILABLE
    assert not execution.cancel_confirmed
    assert time.monotonic() - before < BOUND_SECONDS
    server.processes[0].send_signal(signal.SIGCONT)
    execution.close()
    deadline = time.monotonic() + BOUND_SECONDS
    while server.running("numbers") and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    assert server.running("numbers") == 0


def test_an_engine_works_again_when_its_server_does(server: ClickHouseServer, engine: ClickHouseEngine) -> None:
    server.processes[0].send_signal(signal.SIGSTOP)
    assert failure_of(engine.probe).reason is Reason.ENGINE_UNAVAILABLE
    server.processes[0].send_signal(signal.SIGCONT)
    engine.probe()
    with engine.open(Statement(sql="SELECT 1", query_id="q")) as execution:
        execution.start()
        assert sum(batch.num_rows for batch in execution.batches()) == 1


@pytest.mark.parametrize("octets", [300, 5_000, 400_000])
def test_a_connection_that_is_cut_is_never_a_short_result(server: ClickHouseServer, octets: int) -> None:
    with Cutter(int(server.url.rpartition(":")[2])) as cutter:
        engine = ClickHouseEngine("ch", {"url": f"http://{USER}:{PASSWORD}@127.0.0.1:{cutter.port}"})
        try:
            cutter.cut_after(octets)
            failure = failure_of(lambda: read_all(engine))
        finally:
            cutter.cut_after(None)
            engine.close()
    assert failure.reason is Reason.ENGINE_UNAVAILABLE


def read_all(engine: ClickHouseEngine) -> None:
    with engine.open(Statement(sql="SELECT number, toString(number) FROM numbers(300000)", query_id="q")) as execution:
        execution.start()
        for _ in execution.batches():
            pass


@pytest.mark.parametrize("wrong", [{"password": "hunter2"}, {"user": "nobody", "password": "hunter2"}])
def test_wrong_credentials_are_named_and_not_told(wrong: dict[str, str]) -> None:
    options = {**shared(ClickHouseServer).options(), **wrong}
    failure = failure_of(lambda: ClickHouseEngine("mine", options))
    assert failure.reason is Reason.ENGINE_UNAVAILABLE
    assert failure.metadata == {"engine": "mine"}
    assert "does not accept the user or the password" in failure.message
    assert "hunter2" not in failure.message


def test_a_server_that_accepts_and_says_nothing_is_a_named_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://{USER}:hunter2@127.0.0.1:{listener.getsockname()[1]}"
        failure = failure_of(lambda: ClickHouseEngine("mine", {"url": url, "read_timeout_seconds": 0.3}))
    assert failure.reason is Reason.ENGINE_UNAVAILABLE
    assert "timed out" in failure.message
    assert "hunter2" not in failure.message


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "'url'"),
        ({"url": "clickhouse://h:1"}, "'url'"),
        ({"url": "http://u:hunter2@:x/"}, "'url'"),
        ({"url": 5}, "'url'"),
        ({"url": "http://h", "connect_timeout_seconds": 0}, "'connect_timeout_seconds'"),
        ({"url": "http://h", "read_timeout_seconds": True}, "'read_timeout_seconds'"),
        ({"url": "http://h", "settings": "a=1"}, "'settings'"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word) as caught:
        ClickHouseEngine.traits(options)
    assert "hunter2" not in str(caught.value)


class Cutter:
    """Stands between client and server, and cuts the connection after so many octets of an answer."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._left: int | None = None
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut_after(self, octets: int | None) -> None:
        """Counted over the answers of rows only, which are the ones that come in chunks."""
        self._left = octets

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            in_chunks = False
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65_536)
                    if not data:
                        return
                    if ready is client:
                        server.sendall(data)
                        continue
                    in_chunks = in_chunks or b"chunked" in data
                    if in_chunks and self._left is not None:
                        if len(data) >= self._left:
                            client.sendall(data[: self._left])
                            return
                        self._left -= len(data)
                    client.sendall(data)
