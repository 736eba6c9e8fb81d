"""The engine role of a worker: takes frames, runs executions, answers probes and refreshes.

An engine that computes in this process has one execution at a time, which the thread that reads runs itself (see
`workers/relay.py`); those of an engine elsewhere, which wait for it, have threads of their own.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.live_table import AskedTable
from queryengine.domain.texts import NAME_BYTES_MAX, shortened
from queryengine.engines.base import Engine
from queryengine.engines.registry import engine_class
from queryengine.results.spool.locations import spool_at
from queryengine.workers.confinement import Confinement
from queryengine.workers.failures import failure_of
from queryengine.workers.orders import ExplainOrder, RunOrder
from queryengine.workers.protocol import Frame, encode
from queryengine.workers.relay import Relay
from queryengine.workers.transfer import Host, Transfer

logger = logging.getLogger(__name__)

PLAN_CHARACTERS_MAX: Final = 64 << 10
"""Of what an engine says of a statement."""
THREADS_MAX: Final = 1024
"""More than any number of slots needs: two each, and one for each cancel."""


class EngineRole:
    """Holds the engine and its running executions; `handle` and `attend` are called from one thread at a time."""

    def __init__(
        self, connection: socket.socket, header: dict[str, Any], confinement: Confinement, relay: Relay
    ) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._running: dict[str, Transfer] = {}
        self._confinement = confinement
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="execution")
        self._run: Callable[[Callable[[], None]], object] = self._threads.submit
        self._host: Host | None = None
        """None when the engine cannot be used."""
        try:
            adapter = engine_class(header["engine_type"])
            engine = adapter(header["name"], header["options"])
            traits = adapter.traits(header["options"])
            version = shortened(engine.version(), NAME_BYTES_MAX)
            self._host = Host(
                engine=engine,
                confirms_cancel=traits.cancel_confirmed,
                spool=spool_at(header["spool"]),
                threads=self._threads,
                send=self._send,
                over=self._forget,
                not_enforcing=adapter.enforcement_problem(header["options"]),
            )
            if traits.embedded:
                self._run = relay.carry_out
            confinement.give_up_calls()
            ready = {"version": version, "embedded": traits.embedded, "confinement": confinement.holds}
            self._send(encode({"type": "ready", **ready}))
            engine.prepare()
        except QueryEngineError as cause:
            self._send_unusable(cause.failure)
        except ValueError as cause:
            # An option that only the start can judge, as a folder that is gone since the options were checked.
            self._send_unusable(Failure(Reason.ENGINE_UNAVAILABLE, str(cause)))

    def handle(self, frame: Frame) -> None:
        host = self._host
        if host is None:
            return
        match frame.type:
            case "run":
                order = RunOrder.decode(frame)
                if self._confinement.is_outdated:
                    self._retire(order)
                    return
                transfer = self._running[order.execution] = Transfer(host, order)
                self._run(transfer.pull)
            case "cancel":
                running = self._running.get(frame.header["execution"])
                if running is not None:
                    self._threads.submit(running.cancel)
            case "probe":
                self._threads.submit(self._probe, host.engine)
            case "refresh":
                self._threads.submit(self._answer, frame, partial(_refreshed, host.engine))
            case "explain":
                self._threads.submit(self._answer, frame, partial(_explained, host.engine, frame))
            case "live_tables":
                self._threads.submit(self._answer, frame, partial(_live_tables, host.engine, frame))
            case _:
                logger.error("a frame of type %r is for nobody", frame.type)

    def attend(self) -> float | None:
        """Look after what runs; returns seconds until that is needed again, or None until the next frame."""
        if not self._running:
            return None
        now = time.monotonic()
        due = [at for each in list(self._running.values()) if (at := each.attend(now)) is not None]
        return max(0.0, min(due) - now) if due else None

    def _retire(self, order: RunOrder) -> None:
        """Have this process replaced, which cannot read what its successor can. The query waits for that one."""
        message = "what the engine reads was replaced, so its worker starts again; the query was not begun"
        failure = Failure(Reason.ENGINE_UNAVAILABLE, message)
        header = {"type": "failed", "execution": order.execution, "failure": failure.to_json(), "confirmed": True}
        self._send(encode({**header, "retires": True}))

    def _send(self, frames: bytes) -> None:
        """Send frames, whole, from any thread. Does nothing when the server is gone: the main loop sees that too."""
        try:
            with self._sending:
                self._connection.sendall(frames)
        except OSError:
            logger.debug("server is gone")

    def _send_unusable(self, failure: Failure) -> None:
        self._send(encode({"type": "unusable", "failure": failure.to_json()}))

    def _probe(self, engine: Engine) -> None:
        failure: Failure | None = None
        try:
            engine.probe()
        except Exception as cause:
            failure = failure_of(cause, "a probe")
        self._send(encode({"type": "health", "failure": failure.to_json() if failure is not None else None}))

    def _answer(self, frame: Frame, find: Callable[[], dict[str, Any]]) -> None:
        """Answer a question that is asked beside executions."""
        header: dict[str, Any] = {"type": "answer", "number": frame.header["number"], "failure": None}
        if is_outdated := self._confinement.is_outdated:
            failure = Failure(
                Reason.ENGINE_UNAVAILABLE, "what the engine reads was replaced, so its worker starts again"
            )
            header["failure"] = failure.to_json()
        else:
            try:
                header.update(find())
            except Exception as cause:
                header["failure"] = failure_of(cause, f"a question ({frame.type})").to_json()
        self._send(encode({**header, "retires": is_outdated}))

    def _forget(self, execution: str) -> None:
        self._running.pop(execution, None)


def _refreshed(engine: Engine) -> dict[str, Any]:
    return {"refreshed": engine.refresh().to_json()}


def _explained(engine: Engine, frame: Frame) -> dict[str, Any]:
    return {"plan": engine.explain(ExplainOrder(**frame.header["order"]).statement())[:PLAN_CHARACTERS_MAX]}


def _live_tables(engine: Engine, frame: Frame) -> dict[str, Any]:
    asked = [AskedTable.from_json(each) for each in frame.header["tables"]]
    return {"tables": [None if each is None else each.to_json() for each in engine.live_tables(asked)]}
