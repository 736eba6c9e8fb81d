"""The engine role of a worker: runs executions and writes their pages to the spool.

Each execution has two threads: one drives the engine and pulls the next batch while the other encodes and writes this
one. Between them stand at most two batches, so a slow disk slows the engine down and memory stays bounded. For a short
query the hand-overs cost more than the work, so threads are kept, and frames that follow each other closely go as one.
"""

import logging
import queue
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final, TypeAlias

import pyarrow as pa

from queryengine.codec.wide_numbers import carried
from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.domain.texts import NAME_BYTES_MAX, shortened
from queryengine.engines.base import Engine, Execution, Progress
from queryengine.engines.registry import engine_class
from queryengine.results.segment import PageEntry
from queryengine.results.spool.base import Spool
from queryengine.results.spool.locations import spool_at
from queryengine.results.writer import ResultWriter
from queryengine.workers.confinement import Confinement
from queryengine.workers.orders import RunOrder
from queryengine.workers.protocol import Frame, encode

logger = logging.getLogger(__name__)

BATCHES_AHEAD: Final = 2
PROGRESS_SECONDS: Final = 0.2
LATER_FLUSH_SECONDS: Final = 0.5
"""How long rows may wait for more rows once the first page is out."""
SCHEMA_SECONDS: Final = 0.01
"""How long the columns may wait for the first rows, to be told together."""
SCHEMA_BYTES_MAX: Final = 16 << 20
"""Of the columns of a result: some hundred thousand usual ones. Every page and every reader holds them once."""
THREADS_MAX: Final = 1024
"""More than any number of slots needs: two each, and one for each cancel."""


class _End:
    """Stands behind the last batch of an execution."""


Item: TypeAlias = pa.Schema | pa.RecordBatch | Exception | _End


class EngineRole:
    """Holds the engine and its running executions; `handle` is called for each frame, from one thread."""

    def __init__(self, connection: socket.socket, header: dict[str, Any], confinement: Confinement) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._running: dict[str, Run] = {}
        self._engine: Engine | None = None
        self._confirms_cancel = False
        self._confinement = confinement
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="run")
        self._spool = spool_at(header["spool"])
        try:
            adapter = engine_class(header["engine_type"])
            self._engine = adapter(header["name"], header["options"])
            traits = adapter.traits(header["options"])
            self._confirms_cancel = traits.cancel_confirmed
            version = shortened(self._engine.version(), NAME_BYTES_MAX)
            confinement.give_up_calls()
            ready = {"version": version, "embedded": traits.embedded, "confinement": confinement.holds}
            self.send(encode({"type": "ready", **ready}))
            self._engine.prepare()
        except QueryEngineError as cause:
            self._send_unusable(cause.failure)
        except ValueError as cause:
            # An option that only the start can judge, as a folder that is gone since the options were checked.
            self._send_unusable(Failure(Reason.ENGINE_UNAVAILABLE, str(cause)))

    def handle(self, frame: Frame) -> None:
        if frame.type == "run" and self._engine is not None:
            order = RunOrder.decode(frame)
            if self._confinement.is_outdated:
                self._retire(order)
                return
            run = self._running[order.execution] = Run(self, self._engine, self._spool, order, self._confirms_cancel)
            self._threads.submit(run.pull)
            self._threads.submit(run.store)
        elif frame.type == "probe" and self._engine is not None:
            self._threads.submit(self._probe, self._engine)
        elif frame.type == "refresh" and self._engine is not None:
            self._threads.submit(self._refresh, self._engine, frame.header["number"])
        elif frame.type == "cancel":
            run_or_none = self._running.get(frame.header["execution"])
            if run_or_none is not None:
                self._threads.submit(run_or_none.cancel)

    def _retire(self, order: RunOrder) -> None:
        """Have this process replaced, which cannot read what its successor can. The query waits for that one."""
        message = "what the engine reads was replaced, so its worker starts again; the query was not begun"
        failure = Failure(Reason.ENGINE_UNAVAILABLE, message)
        header = {"type": "failed", "execution": order.execution, "failure": failure.to_json(), "confirmed": True}
        self.send(encode({**header, "retires": True}))

    def send(self, frames: bytes) -> None:
        """Send frames, whole, from any thread. Does nothing when the server is gone: the main loop sees that too."""
        try:
            with self._sending:
                self._connection.sendall(frames)
        except OSError:
            logger.debug("server is gone")

    def _send_unusable(self, failure: Failure) -> None:
        self.send(encode({"type": "unusable", "failure": failure.to_json()}))

    def _probe(self, engine: Engine) -> None:
        failure: Failure | None = None
        try:
            engine.probe()
        except Exception as cause:
            failure = failure_of(cause, "a probe")
        self.send(encode({"type": "health", "failure": failure.to_json() if failure is not None else None}))

    def _refresh(self, engine: Engine, number: int) -> None:
        header: dict[str, Any] = {"type": "refreshed", "number": number, "refreshed": None, "failure": None}
        if is_outdated := self._confinement.is_outdated:
            failure = Failure(
                Reason.ENGINE_UNAVAILABLE, "what the engine reads was replaced, so its worker starts again"
            )
            header["failure"] = failure.to_json()
        else:
            try:
                header["refreshed"] = engine.refresh().to_json()
            except Exception as cause:
                header["failure"] = failure_of(cause, "a refresh").to_json()
        self.send(encode({**header, "retires": is_outdated}))

    def forget(self, execution: str) -> None:
        self._running.pop(execution, None)


class Run:
    """One execution on its way from engine to spool: `pull` and `store` run in a thread each, once."""

    def __init__(self, role: EngineRole, engine: Engine, spool: Spool, order: RunOrder, confirms_cancel: bool) -> None:
        """`confirms_cancel` is the engine's trait `cancel_confirmed`."""
        self._role = role
        self._engine = engine
        self._spool = spool
        self._order = order
        self._confirms_cancel = confirms_cancel
        self._items: queue.Queue[Item] = queue.Queue(maxsize=BATCHES_AHEAD)
        self._execution: Execution | None = None
        self._cancelled = threading.Event()
        self._stopped = threading.Event()
        self._pulled = threading.Event()
        self._ended_by_engine = False
        self._last_progress = Progress()
        self._flush_seconds = order.first_page_flush_seconds
        self._has_pending = False
        self._held = b""
        """Frames that go with the next one."""

    def pull(self) -> None:
        """Drive the engine; everything it yields or raises goes through the queue, in order."""
        try:
            with self._engine.open(self._order.statement()) as execution:
                self._execution = execution
                if self._cancelled.is_set() or self._stopped.is_set():
                    execution.cancel()
                schema, batches = carried(execution.start(), execution.batches(), self._order.wide_integers)
                self._put(schema)
                for batch in batches:
                    self._put(batch)
                    if self._stopped.is_set():
                        return
                self._ended_by_engine = True
                self._put(_End())
        except Exception as cause:
            self._put(cause)
        finally:
            self._pulled.set()

    def store(self) -> None:
        """Store to the end and report exactly one `end` or `failed`, when nothing of it is left on the engine."""
        try:
            report = self._result()
        except Exception as cause:
            report = {"type": "failed", "failure": failure_of(cause, f"query {self._order.query_id}").to_json()}
        self._stop_pulling()
        self._role.forget(self._order.execution)
        progress = self._progress()
        if progress.engine_query_id:
            # A short query ends before its progress was ever due; the record keeps the engine's name for it.
            self._hold_progress(progress)
        self._send({**report, "confirmed": self._is_confirmed(report)})
        self._engine.prepare()

    def cancel(self) -> None:
        """Stop the engine; returns when it has. Before the engine was told to start, keeps it from starting."""
        self._cancelled.set()
        if self._execution is not None:
            self._execution.cancel()

    def _is_confirmed(self, report: dict[str, Any]) -> bool:
        """Whether the engine itself knows that nothing of the execution runs."""
        if self._ended_by_engine:
            return True
        is_away = report.get("failure", {}).get("reason") == Reason.ENGINE_UNAVAILABLE
        confirmed = self._execution is None or self._execution.cancel_confirmed
        return self._confirms_cancel and confirmed and not is_away

    def _stop_pulling(self) -> None:
        self._stopped.set()
        if self._execution is not None:
            self._execution.cancel()
        while not self._pulled.is_set():
            _drain(self._items)
            self._pulled.wait(0.01)

    def _put(self, item: Item) -> None:
        while not self._stopped.is_set():
            try:
                self._items.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def _result(self) -> dict[str, Any]:
        self._spool.begin(self._order.result)
        writer: ResultWriter | None = None
        try:
            for item in self._arriving():
                if item is None:
                    if writer is not None:
                        writer.flush()
                elif isinstance(item, pa.Schema):
                    writer = self._writer(item)
                elif writer is not None and isinstance(item, pa.RecordBatch):
                    writer.write(item)
                    self._flush_seconds = LATER_FLUSH_SECONDS if writer.has_pages else self._flush_seconds
                    self._has_pending = writer.has_pending
                    if writer.is_full:
                        break
            if writer is None:
                raise error(Reason.ENGINE_ERROR, "the engine told no columns")
            progress = self._progress()
            # Before the end, so that the server prepares its answer while the disk works.
            writer.flush()
            totals = writer.finish(rows_scanned=progress.rows_scanned, bytes_scanned=progress.bytes_scanned)
            return {"type": "end", "totals": totals.to_json()}
        finally:
            if writer is not None:
                writer.close()

    def _writer(self, schema: pa.Schema) -> ResultWriter:
        if not schema.names:
            raise error(Reason.STATEMENT_NOT_ALLOWED, "the statement returns no columns")
        encoded = schema.serialize().to_pybytes()
        if len(encoded) > SCHEMA_BYTES_MAX:
            message = (
                f"the description of the {len(schema)} columns takes {len(encoded)} bytes, more than the "
                f"{SCHEMA_BYTES_MAX} that one result may have; select fewer columns"
            )
            raise error(Reason.RESULT_LIMIT, message, limit="schema_bytes", value=SCHEMA_BYTES_MAX)
        writer = ResultWriter(self._spool, self._order.result, schema, self._order.limits, self._published)
        self._hold({"type": "schema"}, encoded)
        return writer

    def _arriving(self) -> Iterator[Item | None]:
        """What the engine yields, in order, up to its end; None when rows that wait must wait no longer. Raises what
        the engine raised. Reports progress on the way.
        """
        pending_since = 0.0
        while True:
            now = time.monotonic()
            pending_since = pending_since or now
            timeout = SCHEMA_SECONDS if self._held else PROGRESS_SECONDS
            if self._has_pending:
                timeout = min(timeout, max(0.0, pending_since + self._flush_seconds - now))
            try:
                item = self._items.get(timeout=timeout) if timeout else self._items.get_nowait()
            except queue.Empty:
                if self._has_pending and time.monotonic() >= pending_since + self._flush_seconds:
                    self._has_pending = False
                    pending_since = 0.0
                    yield None
                self._report_progress()
                continue
            if isinstance(item, _End):
                return
            if isinstance(item, Exception):
                raise item
            if not self._has_pending:
                pending_since = time.monotonic()
            yield item

    def _published(self, entry: PageEntry) -> None:
        self._send({"type": "page", "page": entry.to_json()})

    def _progress(self) -> Progress:
        return self._execution.progress() if self._execution is not None else Progress()

    def _report_progress(self) -> None:
        progress = self._progress()
        if progress != self._last_progress or self._held:
            self._hold_progress(progress)
            self._flush()

    def _hold(self, header: dict[str, Any], blob: bytes = b"") -> None:
        self._held += encode({**header, "execution": self._order.execution}, blob)

    def _hold_progress(self, progress: Progress) -> None:
        self._last_progress = progress
        self._hold({"type": "progress", "progress": asdict(progress)})

    def _send(self, header: dict[str, Any]) -> None:
        self._hold(header)
        self._flush()

    def _flush(self) -> None:
        frames, self._held = self._held, b""
        self._role.send(frames)


def failure_of(cause: Exception, doing: str) -> Failure:
    """Any exception as a failure; one that no adapter named is logged with its traceback, and what was being done."""
    match cause:
        case QueryEngineError():
            return cause.failure
        case MemoryError() | pa.ArrowMemoryError():
            return Failure(Reason.OUT_OF_MEMORY, "the worker ran out of the memory it may use")
        case _:
            logger.error("%s failed by an error that no adapter names", doing, exc_info=cause)
            return Failure(Reason.ENGINE_ERROR, f"{type(cause).__name__}: {cause}")


def _drain(items: "queue.Queue[Item]") -> None:
    while True:
        try:
            items.get_nowait()
        except queue.Empty:
            return
