"""A Spark of its own that is paused, started again and killed, in this order; and one that is not there."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import grpc
import pyarrow as pa
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.base import Statement
from queryengine.engines.spark.client import proto
from queryengine.engines.spark.engine import SparkEngine
from tests.servers.server import shared, stop_shared
from tests.servers.spark import SparkServer

SLOW_ROWS = (
    "SELECT id AS n FROM range(0, 20000, 1, 20000) "
    "WHERE aggregate(sequence(0, 300000), 0L, (a, x) -> a + x + id % 7) >= 0"
)
BOUND_SECONDS = 60.0


class OwnSparkServer(SparkServer):
    name = "spark-own"

    def __init__(self) -> None:
        super().__init__(token="hunter2")


@pytest.fixture(scope="module")
def own_server() -> Iterator[OwnSparkServer]:
    yield cast("OwnSparkServer", shared(OwnSparkServer))
    stop_shared(OwnSparkServer)


def read(engine: SparkEngine, sql: str) -> list[dict[str, Any]]:
    with engine.open(Statement(sql=sql, query_id="q")) as execution:
        schema = execution.start()
        return pa.Table.from_batches(execution.batches(), schema).to_pylist()


def failure_of(action: Callable[[], object]) -> Any:
    with pytest.raises(QueryEngineError) as caught:
        action()
    return caught.value.failure


def reading(engine: SparkEngine, sql: str) -> tuple[threading.Thread, list[Any], threading.Event]:
    """A thread that reads until it fails; what failed; and whether it has begun."""
    failures: list[Any] = []
    begun = threading.Event()

    def read_all() -> None:
        with engine.open(Statement(sql=sql, query_id="q")) as execution:
            execution.start()
            for _ in execution.batches():
                begun.set()

    thread = threading.Thread(target=lambda: failures.append(failure_of(read_all)))
    thread.start()
    return thread, failures, begun


def loses(engine: SparkEngine, server: SparkServer, how: signal.Signals) -> None:
    """Send the signal in the middle of a result, and look at what is reported."""
    thread, failures, begun = reading(engine, SLOW_ROWS)
    assert begun.wait(BOUND_SECONDS)
    server.processes[0].send_signal(how)
    thread.join(BOUND_SECONDS)
    assert not thread.is_alive()
    assert failures[0].reason is Reason.ENGINE_UNAVAILABLE
    assert failure_of(engine.probe).reason is Reason.ENGINE_UNAVAILABLE


def test_nobody_listens() -> None:
    before = time.monotonic()
    options = {"url": "sc://127.0.0.1:1", "connect_timeout_seconds": 0.5}
    failure = failure_of(lambda: SparkEngine("mine", options))
    assert failure.reason is Reason.ENGINE_UNAVAILABLE
    assert failure.metadata == {"engine": "mine"}
    # Far from the ten seconds that it would wait otherwise.
    assert time.monotonic() - before < 9.0


@pytest.mark.parametrize("token", ["hunter3", ""])
def test_a_token_that_is_not_accepted_is_named_and_not_shown(own_server: OwnSparkServer, token: str) -> None:
    failure = failure_of(lambda: SparkEngine("mine", {**own_server.options(), "token": token}))
    assert failure.reason is Reason.ENGINE_UNAVAILABLE
    assert "credentials" in failure.message
    assert "hunter" not in f"{failure}"


def test_a_server_that_hangs_is_given_up_and_used_again(own_server: OwnSparkServer) -> None:
    engine = SparkEngine("mine", own_server.options())
    try:
        try:
            loses(engine, own_server, signal.SIGSTOP)
        finally:
            own_server.processes[0].send_signal(signal.SIGCONT)
        engine.connection.wait(BOUND_SECONDS)
        assert read(engine, "SELECT 1 AS n") == [{"n": 1}]
    finally:
        engine.close()


def test_a_server_that_was_started_again_has_the_guards_of_every_session(own_server: OwnSparkServer) -> None:
    engine = SparkEngine("mine", {**own_server.options(), "keep_sessions": True})
    try:
        sql = "SELECT '${env:PATH}' AS v"
        read(engine, sql)
        used = engine.sessions.take("another kind", {})
        own_server.stop()
        own_server.folder.mkdir()
        own_server.start()
        engine.connection.wait(BOUND_SECONDS)
        with pytest.raises(grpc.RpcError, match="INVALID_HANDLE"):
            used.schema_call(proto.Relation(sql=proto.SQL(query="SELECT 1")), time.monotonic() + 60.0).result()
        assert read(engine, sql) == [{"v": "${env:PATH}"}]
    finally:
        engine.close()


def test_a_server_that_is_killed_is_named(own_server: OwnSparkServer) -> None:
    """The last test of this file: the server does not come back."""
    engine = SparkEngine("mine", own_server.options())
    try:
        loses(engine, own_server, signal.SIGKILL)
    finally:
        engine.close()
