"""What the tests of the Trino engine share."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import pyarrow as pa
import pytest

from queryengine.domain.errors import Failure, QueryEngineError
from queryengine.engines.base import Engine, Execution, Statement
from queryengine.engines.trino.engine import TrinoEngine
from tests.servers.server import shared
from tests.servers.trino import TrinoServer

MANY = "TABLE(sequence(1, 1000000))"
ENDLESS_WORK = (
    f"SELECT count(*) AS n FROM {MANY} a CROSS JOIN {MANY} b WHERE (a.sequential_number * b.sequential_number) % 7 = 8"
)
ENDLESS_ROWS = f"SELECT a.sequential_number AS n FROM {MANY} a CROSS JOIN {MANY} b"


def server() -> TrinoServer:
    return cast("TrinoServer", shared(TrinoServer))


@contextmanager
def opened(options: Mapping[str, Any]) -> Iterator[TrinoEngine]:
    engine = TrinoEngine("trino", options)
    try:
        yield engine
    finally:
        engine.close()


def statement(sql: str, **fields: Any) -> Statement:
    return Statement(**{"sql": sql, "query_id": "q", **fields})


def read(engine: Engine, sql: str, **fields: Any) -> pa.Table:
    with engine.open(statement(sql, **fields)) as execution:
        schema = execution.start()
        return pa.Table.from_batches(execution.batches(), schema)


def value(engine: Engine, sql: str, **fields: Any) -> Any:
    return read(engine, sql, **fields).column(0)[0].as_py()


def failure_of(action: Callable[[], object]) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        action()
    return caught.value.failure


def becomes(check: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.02)
    return True


class Reader:
    """Reads an execution on a thread of its own."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.failure: Failure | None = None
        self.has_rows = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.execution.start()
            for _ in self.execution.batches():
                self.has_rows.set()
        except QueryEngineError as cause:
            self.failure = cause.failure
        finally:
            self.execution.close()

    def ended(self, seconds: float = 40.0) -> Failure | None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the run did not end"
        return self.failure
