"""What is asked of ClickHouse beside a statement, on connections of its own: what runs, how far it is, and its end."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from clickhouse_connect.driver.httpclient import HttpClient

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.clickhouse.errors import translated, unavailable
from queryengine.engines.clickhouse.options import CONTROL_SECONDS

POLL_SECONDS: Final = 0.2
AGAIN_SECONDS: Final = 0.01
CONFIRM_SECONDS: Final = 30.0
"""A server that still runs what was killed this long ago counts as one that does not listen."""
SILENT_POLLS_MAX: Final = 2

_RUNNING: Final = (
    "SELECT query_id AS id, read_rows, read_bytes, total_rows_approx FROM system.processes "
    "WHERE query_id IN {ids:Array(String)}"
)
_KILL: Final = "KILL QUERY WHERE query_id IN {ids:Array(String)} ASYNC"


@dataclass(frozen=True, slots=True)
class Counted:
    """What the server has counted for a query that runs."""

    query_id: str
    rows: int
    bytes: int
    rows_expected: int
    """At the moment; 0 when it does not know."""


class Control:
    """Thread-safe. Every call takes a few seconds at most and raises ENGINE_UNAVAILABLE when the server does not
    answer.
    """

    def __init__(self, client: HttpClient, address: str) -> None:
        self._client = client
        self._address = address

    def answers(self) -> None:
        self.ask("SELECT 1")

    def running(self, query_ids: Sequence[str]) -> list[Counted]:
        return [Counted(row[0], *map(int, row[1:])) for row in self.ask(_RUNNING, {"ids": list(query_ids)})]

    def kill(self, query_ids: Sequence[str]) -> None:
        """Does not wait until it is dead. No harm when nothing of these runs."""
        self.ask(_KILL, {"ids": list(query_ids)})

    def end(self, query_ids: Sequence[str]) -> None:
        """Kill, and return when the server's own list of what it runs has none of these any more."""
        deadline = time.monotonic() + CONFIRM_SECONDS
        pause = threading.Event()
        while self.running(query_ids):
            if time.monotonic() > deadline:
                raise unavailable(f"ClickHouse at {self._address} runs on after a kill")
            self.kill(query_ids)
            pause.wait(AGAIN_SECONDS)

    def ask(self, sql: str, values: Mapping[str, list[str]] | None = None) -> list[list[Any]]:
        """The rows of a small question. Values are lists of texts, by the names of their placeholders."""
        try:
            answer = self._client.raw_query(
                sql,
                parameters=values,
                settings={"max_execution_time": int(CONTROL_SECONDS)},
                fmt="JSONCompactEachRow",
            )
        except Exception as cause:
            raise translated(cause, self._address) from cause
        return rows_of(answer)


def rows_of(answer: bytes) -> list[list[Any]]:
    """Of an answer in the format JSONCompactEachRow."""
    return [json.loads(line) for line in answer.decode("utf-8", "replace").split("\n") if line]


class Watch:
    """Asks for the progress of all watched queries, in one thread that has nothing to do while none is watched."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._change = threading.Condition()
        self._watched: dict[str, tuple[Callable[[Counted], None], Callable[[QueryEngineError], None]]] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="queryengine-clickhouse-watch", daemon=True)
        self._thread.start()

    def add(self, query_id: str, counted: Callable[[Counted], None], lost: Callable[[QueryEngineError], None]) -> None:
        """`lost` is called when the server has not answered several times in a row."""
        with self._change:
            self._watched[query_id] = (counted, lost)
            self._change.notify_all()

    def forget(self, query_id: str) -> None:
        with self._change:
            self._watched.pop(query_id, None)

    def close(self) -> None:
        """Idempotent. Returns when the thread has ended."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._thread.join()

    def _run(self) -> None:
        silent = 0
        while True:
            with self._change:
                # What ends within one interval is never asked for.
                self._change.wait_for(lambda: self._closed, POLL_SECONDS)
                self._change.wait_for(lambda: self._closed or self._watched)
                if self._closed:
                    return
                watched = dict(self._watched)
            try:
                for each in self._control.running(list(watched)):
                    watched[each.query_id][0](each)
                silent = 0
            except QueryEngineError as cause:
                silent = silent + 1 if cause.failure.reason is Reason.ENGINE_UNAVAILABLE else 0
                if silent >= SILENT_POLLS_MAX:
                    for _, lost in watched.values():
                        lost(cause)
