"""A Trino of its own that is paused and killed, and whose patience with silent clients is short."""

import signal
import time
from collections.abc import Iterator
from types import MappingProxyType

import pytest
from trino_support import ENDLESS_ROWS, Reader, becomes, failure_of, opened, read, statement, value

from queryengine.domain.errors import Reason
from tests.servers.server import shared, stop_shared
from tests.servers.trino import TrinoServer

CLIENT_TIMEOUT_SECONDS = 5.0
BOUND_SECONDS = 40.0
"""Within which a failure shows, on a busy machine."""


class ImpatientTrinoServer(TrinoServer):
    name = "trino-impatient"
    settings = MappingProxyType({"query.client.timeout": f"{CLIENT_TIMEOUT_SECONDS:g}s"})


@pytest.fixture(scope="module")
def impatient() -> Iterator[ImpatientTrinoServer]:
    server = shared(ImpatientTrinoServer)
    assert isinstance(server, ImpatientTrinoServer)
    yield server
    stop_shared(ImpatientTrinoServer)


def stalled(server: ImpatientTrinoServer, *, heartbeat_seconds: float) -> Reason | None:
    """What becomes of a query whose rows nobody takes until Trino would give it up."""
    options = {**server.options(), "heartbeat_seconds": heartbeat_seconds}
    with opened(options) as engine, engine.open(statement(ENDLESS_ROWS)) as execution:
        execution.start()
        batches = execution.batches()
        next(batches)
        query_id = execution.progress().engine_query_id
        # A query that lives is looked at for long enough to have been given up; one that does not may take its time.
        seconds = 2.5 * CLIENT_TIMEOUT_SECONDS if heartbeat_seconds < CLIENT_TIMEOUT_SECONDS else BOUND_SECONDS
        if becomes(lambda: server.state(query_id) == "FAILED", seconds=seconds):
            return failure_of(lambda: [next(batches) for _ in range(100)]).reason
        for _ in range(20):
            assert next(batches).num_rows
        return None


def test_a_consumer_that_stalls_keeps_its_query(impatient: ImpatientTrinoServer) -> None:
    assert stalled(impatient, heartbeat_seconds=1) is None


def test_without_a_heartbeat_it_would_be_lost_and_says_so(impatient: ImpatientTrinoServer) -> None:
    assert stalled(impatient, heartbeat_seconds=3600) is Reason.ENGINE_UNAVAILABLE


def test_a_paused_server_is_given_up_and_used_again(impatient: ImpatientTrinoServer) -> None:
    options = {**impatient.options(), "read_timeout_seconds": 2, "retry_seconds": 1}
    with opened(options) as engine:
        with engine.open(statement(ENDLESS_ROWS)) as execution:
            execution.start()
            batches = execution.batches()
            next(batches)
            query_id = execution.progress().engine_query_id
            begun = time.monotonic()
            impatient.processes[0].send_signal(signal.SIGSTOP)
            try:
                failure = failure_of(lambda: [batch.num_rows for batch in batches])
                assert failure_of(engine.probe).reason is Reason.ENGINE_UNAVAILABLE
                execution.close()
                assert time.monotonic() - begun < BOUND_SECONDS
            finally:
                impatient.processes[0].send_signal(signal.SIGCONT)
        assert failure.reason is Reason.ENGINE_UNAVAILABLE
        assert failure.metadata == {"engine": "trino"}
        assert becomes(lambda: value(engine, "SELECT 1") == 1, seconds=BOUND_SECONDS)
        # Nobody could cancel it, and nobody asks for it.
        assert becomes(lambda: impatient.state(query_id) == "FAILED", seconds=BOUND_SECONDS)


def test_cancel_while_the_server_is_paused_returns(impatient: ImpatientTrinoServer) -> None:
    with opened({**impatient.options(), "read_timeout_seconds": 2}) as engine:
        reader = Reader(engine.open(statement(ENDLESS_ROWS)))
        assert reader.has_rows.wait(BOUND_SECONDS)
        impatient.processes[0].send_signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            reader.execution.cancel()
            assert not reader.execution.cancel_confirmed
            assert time.monotonic() - begun < BOUND_SECONDS
        finally:
            impatient.processes[0].send_signal(signal.SIGCONT)
        failure = reader.ended()
        assert failure is not None
        assert failure.reason is Reason.QUERY_CANCELLED


def test_a_killed_server_is_named_in_the_middle_of_a_result(impatient: ImpatientTrinoServer) -> None:
    """The last test of this file: the server does not come back."""
    with opened({**impatient.options(), "retry_seconds": 1}) as engine:
        reader = Reader(engine.open(statement(ENDLESS_ROWS)))
        assert reader.has_rows.wait(BOUND_SECONDS)
        impatient.processes[0].kill()
        impatient.processes[0].wait()
        failure = reader.ended(BOUND_SECONDS)
        assert failure is not None
        assert failure.reason is Reason.ENGINE_UNAVAILABLE
        assert failure_of(engine.probe).reason is Reason.ENGINE_UNAVAILABLE
        assert failure_of(lambda: read(engine, "SELECT 1")).reason is Reason.ENGINE_UNAVAILABLE
