"""One execution on its way from the engine to its result, and one report at its end.

A short query is work for one thread: it drives the engine, encodes the only batch and reports, in one frame. What turns
out to be more gets a second thread that encodes and writes while the first one pulls the next batch; between them stand
at most two batches, so that a slow disk slows the engine down and memory stays bounded.

| state  | who works                                             | what ends it                                     |
|--------|-------------------------------------------------------|--------------------------------------------------|
| alone  | `pull` drives the engine, then concludes              | the engine's end; a second batch, a large one or |
|        |                                                       | ATTEND_SECONDS make it shared                    |
| shared | `pull` drives the engine; `_store` encodes, shows     | the engine's end, a limit, an error              |
|        | rows in time, reports progress, and concludes         |                                                  |
| over   | nobody: the report is sent, and the engine is idle    |                                                  |

`cancel` may come at any time, from any thread; it ends what the engine does, and so the state.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

import pyarrow as pa

from queryengine.codec.wide_numbers import carried
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.base import Engine, Execution, Progress, Statement
from queryengine.results.segment import PageEntry
from queryengine.results.spool.base import Spool
from queryengine.results.writer import ResultWriter
from queryengine.workers.failures import failure_of
from queryengine.workers.orders import RunOrder
from queryengine.workers.protocol import encode

logger = logging.getLogger(__name__)

BATCHES_AHEAD: Final = 2
ATTEND_SECONDS: Final = 0.01
"""How long an execution may be alone: longer ones have columns, rows and progress to report on the way."""
ALONE_BYTES_MAX: Final = 128 << 10
"""Of the only batch of an execution that is alone. To encode a larger one while the engine makes the next is faster."""
PROGRESS_SECONDS: Final = 0.2
LATER_SHOW_SECONDS: Final = 0.5
"""How long rows may wait for more rows once some have been shown."""
SCHEMA_SECONDS: Final = 0.01
"""How long the columns may wait for the first rows, to be reported together."""
SCHEMA_BYTES_MAX: Final = 16 << 20
"""Of the columns of a result: some hundred thousand usual ones. Every page and every reader holds them once."""


class _End:
    """Stands behind the last batch of an execution."""


Item: TypeAlias = pa.Schema | pa.RecordBatch | Exception | _End


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the transfers of a worker share."""

    engine: Engine
    confirms_cancel: bool
    """The engine's trait `cancel_confirmed`."""
    spool: Spool
    threads: Executor
    send: Callable[[bytes], None]
    """Sends frames to the server, whole, from any thread; never raises."""
    over: Callable[[str], None]
    """Called with the name of an execution right before it reports its end."""
    not_enforcing: str = ""
    """Why the engine cannot filter rows by who asks; empty where it can."""

    def open(self, statement: Statement) -> Execution:
        """As the engine does. Raises RELATION_NOT_ALLOWED for what was planned for an engine that filters rows, where
        this one does not: another may have its name since the server was started again.
        """
        if statement.enforced is not None and self.not_enforcing:
            message = (
                "the query was planned for an engine that filters rows by who asks, and it does not; submit it again"
            )
            raise error(Reason.RELATION_NOT_ALLOWED, message)
        return self.engine.open(statement)


class Transfer:
    """`pull` runs in a thread, once; `attend` and `cancel` may be called at any time."""

    def __init__(self, host: Host, order: RunOrder) -> None:
        self._host = host
        self._order = order
        self._attend_at = time.monotonic() + ATTEND_SECONDS
        self._lock = threading.Lock()
        """Held by whoever decides how the execution goes on, alone to its end or shared, and by whoever yields while it
        is alone.
        """
        self._first_items: list[Item] = []
        """What the engine yielded while the execution is alone."""
        self._is_over = False
        """It has come to its end alone."""
        self._shared: _Shared | None = None
        self._execution: Execution | None = None
        self._is_cancelled = False
        self._ended_by_engine = False
        self._last_progress = Progress()
        self._show_seconds = order.first_page_flush_seconds
        self._unseen_since: float | None = None
        """Since when there are rows that nobody can read yet."""
        self._schema = b""
        """The columns, until they are reported."""
        self._held = b""
        """Frames that go with the next one."""

    def pull(self) -> None:
        """Drive the engine to its end, and conclude unless `_store` does."""
        last = self._drive()
        with self._lock:
            self._is_over = self._shared is None
        if self._shared is None:
            self._conclude(self._waiting(last))
        else:
            self._shared.put(last)
            self._shared.pulled.set()

    def attend(self, now: float) -> float | None:
        """Share the execution if it has lasted for long; returns when to ask again, None when that is not needed."""
        if self._shared is not None:
            return None
        if now < self._attend_at:
            return self._attend_at
        self._share()
        return None

    def cancel(self) -> None:
        """Stop the engine; returns when it has stopped, or cannot be stopped. Keeps one from starting that has not been
        asked to.
        """
        self._is_cancelled = True
        self._cancel_execution()

    def _drive(self) -> Exception | _End:
        """Have the engine run; all it yields goes through the queue. Returns how it ended."""
        try:
            with self._host.open(self._order.statement()) as execution:
                self._execution = execution
                if self._is_cancelled or self._is_stopped:
                    execution.cancel()
                schema, batches = carried(execution.start(), execution.batches(), self._order.wide_integers)
                self._put(schema)
                for number, batch in enumerate(batches):
                    if not number:
                        self._unseen_since = time.monotonic()
                    if number == 1 or batch.nbytes > ALONE_BYTES_MAX:
                        self._share()
                    self._put(batch)
                    if self._is_stopped:
                        break
                else:
                    self._ended_by_engine = True
        except Exception as cause:
            if not self._ended_by_engine:
                return cause
            logger.warning("query %s: its engine cannot be released: %s", self._order.query_id, cause)
        return _End()

    @property
    def _is_stopped(self) -> bool:
        """Whether nobody wants what the engine may still yield."""
        return self._shared is not None and self._shared.stopped.is_set()

    def _share(self) -> None:
        """Have a second thread store what the engine yields, unless one does or all of it is there already."""
        with self._lock:
            if self._shared is None and not self._is_over:
                self._shared = _Shared(self._first_items)
                self._host.threads.submit(self._store, self._shared)

    def _store(self, shared: "_Shared") -> None:
        self._conclude(self._arriving(shared))

    def _put(self, item: Item) -> None:
        with self._lock:
            if self._shared is None:
                self._first_items.append(item)
                return
        self._shared.put(item)

    def _conclude(self, items: Iterator[Item | None]) -> None:
        """Store to the end and report exactly one `end` or `failed`, when nothing of it is left on the engine."""
        payload = b""
        try:
            report, payload = self._result(items)
        except Exception as cause:
            report = {"type": "failed", "failure": failure_of(cause, f"query {self._order.query_id}").to_json()}
        self._stop_pulling()
        self._host.over(self._order.execution)
        progress = self._progress()
        if progress.engine_query_id:
            # A short query ends before its progress was ever due; the record keeps the engine's name for it.
            report["progress"] = asdict(progress)
        if payload:
            # It holds the columns, too.
            self._schema = b""
        self._hold_schema()
        self._hold({**report, "confirmed": self._is_confirmed(report)}, payload)
        self._send()
        self._host.engine.prepare()

    def _is_confirmed(self, report: dict[str, Any]) -> bool:
        """Whether the engine itself knows that nothing of the execution runs."""
        if self._ended_by_engine:
            return True
        is_away = report.get("failure", {}).get("reason") == Reason.ENGINE_UNAVAILABLE
        confirmed = self._execution is None or self._execution.cancel_confirmed
        return self._host.confirms_cancel and confirmed and not is_away

    def _stop_pulling(self) -> None:
        if self._shared is None or self._shared.pulled.is_set():
            return
        self._shared.stopped.set()
        self._cancel_execution()
        self._shared.drain()

    def _cancel_execution(self) -> None:
        """Never raises: the report follows in any case, and says whether the engine has confirmed its end."""
        if self._execution is not None:
            try:
                self._execution.cancel()
            except QueryEngineError as cause:
                logger.warning("query %s: its engine cannot be released: %s", self._order.query_id, cause)

    def _result(self, items: Iterator[Item | None]) -> tuple[dict[str, Any], bytes]:
        """The report of a result that is whole, and its bytes when it is not in the spool."""
        writer: ResultWriter | None = None
        try:
            for item in items:
                if item is None:
                    if writer is not None:
                        writer.show()
                        self._note_unseen(writer)
                elif isinstance(item, pa.Schema):
                    writer = self._writer(item)
                elif writer is not None and isinstance(item, pa.RecordBatch):
                    writer.write(item)
                    self._note_unseen(writer)
                    if writer.is_full:
                        break
            if writer is None:
                raise error(Reason.ENGINE_ERROR, "the engine reported no columns")
            progress = self._progress()
            totals = writer.finish(rows_scanned=progress.rows_scanned, bytes_scanned=progress.bytes_scanned)
            return {"type": "end", "totals": totals.to_json()}, writer.payload or b""
        finally:
            if writer is not None:
                writer.close()

    def _writer(self, schema: pa.Schema) -> ResultWriter:
        writer = ResultWriter(self._host.spool, self._order.result, schema, self._order.limits, self._published)
        self._schema = writer.encoded_schema
        if len(self._schema) > SCHEMA_BYTES_MAX:
            writer.close()
            message = (
                f"the description of the {len(schema)} columns takes {len(self._schema)} bytes, more than the "
                f"{SCHEMA_BYTES_MAX} that one result may have; select fewer columns"
            )
            self._schema = b""
            raise error(Reason.RESULT_LIMIT, message, limit="schema_bytes", value=SCHEMA_BYTES_MAX)
        return writer

    def _note_unseen(self, writer: ResultWriter) -> None:
        if writer.has_shown:
            self._show_seconds = LATER_SHOW_SECONDS
        if not writer.has_unseen:
            self._unseen_since = None
        elif self._unseen_since is None:
            self._unseen_since = time.monotonic()

    def _waiting(self, last: Exception | _End) -> Iterator[Item]:
        """What an execution that is over has yielded. Raises what the engine raised."""
        yield from self._first_items
        if isinstance(last, Exception):
            raise last

    def _arriving(self, shared: "_Shared") -> Iterator[Item | None]:
        """What the engine yields, in order, up to its end; None when rows that wait must be shown. Raises what the
        engine raised. Reports progress on the way.
        """
        while True:
            timeout = SCHEMA_SECONDS if self._schema or self._held else PROGRESS_SECONDS
            show_at = None if self._unseen_since is None else self._unseen_since + self._show_seconds
            if show_at is not None:
                timeout = min(timeout, max(0.0, show_at - time.monotonic()))
            try:
                item = shared.items.get(timeout=timeout) if timeout else shared.items.get_nowait()
            except queue.Empty:
                if show_at is not None and time.monotonic() >= show_at:
                    yield None
                self._report_progress()
                continue
            if isinstance(item, _End):
                return
            if isinstance(item, Exception):
                raise item
            yield item

    def _published(self, entry: PageEntry) -> None:
        self._hold_schema()
        self._hold({"type": "page", "page": entry.to_json()})
        self._send()

    def _progress(self) -> Progress:
        return self._execution.progress() if self._execution is not None else Progress()

    def _report_progress(self) -> None:
        progress = self._progress()
        if progress != self._last_progress or self._schema:
            self._last_progress = progress
            self._hold_schema()
            self._hold({"type": "progress", "progress": asdict(progress)})
            self._send()

    def _hold_schema(self) -> None:
        """The columns come before all that needs them, and once."""
        schema, self._schema = self._schema, b""
        if schema:
            self._hold({"type": "schema"}, schema)

    def _hold(self, header: dict[str, Any], blob: bytes = b"") -> None:
        self._held += encode({**header, "execution": self._order.execution}, blob)

    def _send(self) -> None:
        frames, self._held = self._held, b""
        self._host.send(frames)


class _Shared:
    """Between the two threads of an execution."""

    def __init__(self, first: list[Item]) -> None:
        self.items: queue.Queue[Item] = queue.Queue(maxsize=BATCHES_AHEAD)
        self.stopped = threading.Event()
        self.pulled = threading.Event()
        for item in first:
            self.items.put_nowait(item)

    def put(self, item: Item) -> None:
        """Hand an item over, as soon as there is room; drops it once nobody wants any more."""
        while not self.stopped.is_set():
            try:
                self.items.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def drain(self) -> None:
        """Take and drop what comes until the engine is left."""
        while not self.pulled.is_set():
            with suppress(queue.Empty):
                while True:
                    self.items.get_nowait()
            self.pulled.wait(0.01)
