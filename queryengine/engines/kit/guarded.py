"""One base for executions over a driver: guarded calls, cancel, release, failures by name, no result without columns.

| an execution is | `start`, `batches` | `cancel`, `close` |
|---|---|---|
| idle | call the driver | let no call begin any more, and release what is held |
| in a call of the driver | are in it: one thread drives | interrupt it until it returns, then as above |
| stopped | raise QUERY_CANCELLED | wait for a release that is under way, else do nothing |
"""

import logging
import threading
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any, NoReturn, TypeVar

import pyarrow as pa

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.base import Execution, Progress
from queryengine.engines.kit.executions import OpenExecutions
from queryengine.engines.kit.interrupting import Interruptible

logger = logging.getLogger(__name__)

T = TypeVar("T")


def check_columns(columns: Collection[object]) -> None:
    """Raises STATEMENT_REJECTED for a result without columns, for which there is no page."""
    if not columns:
        raise error(Reason.STATEMENT_REJECTED, "the statement returns no columns")


class GuardedExecution(Execution):
    """An adapter says how its driver begins, reads and is interrupted, and what its exceptions mean.

    It names whatever it takes to `_hold` in the same call. On release what was taken last goes first, each even when
    another one fails, once, and never while a call is in flight.
    """

    def __init__(self, executions: OpenExecutions[Any]) -> None:
        """`executions` are those of the engine, among which this one is."""
        self._executions = executions
        self._calls = Interruptible(self._interrupt)
        self._held: list[Callable[[], None]] = []
        self._releasing = threading.Lock()
        self._is_confirmed = True
        """What `cancel_confirmed` says. A release that fails clears it, and an adapter that could not ask."""
        self._last_progress = Progress()
        self._is_progress_known = True

    @abstractmethod
    def _begin(self) -> pa.Schema:
        """What `start` promises, in one guarded call. Raises as the driver does."""

    @abstractmethod
    def _batches(self) -> Iterator[pa.RecordBatch]:
        """What `batches` promises, as a generator of which each step is one guarded call; batches without rows are left
        out by the base. Raises as the driver does.
        """

    @abstractmethod
    def _interrupt(self) -> None:
        """Make the call in flight return, from another thread. Does no harm when the call has just returned."""

    @abstractmethod
    def _failure(self, cause: Exception) -> QueryEngineError:
        """The failure for an exception of the driver."""

    @abstractmethod
    def _snapshot(self) -> Progress:
        """What `progress` promises, except that it may raise."""

    def start(self) -> pa.Schema:
        return self._guarded(self._checked_begin)

    def batches(self) -> Iterator[pa.RecordBatch]:
        produced = self._batches()
        while True:
            batch = self._guarded(next, produced, None)
            if batch is None:
                return
            if batch.num_rows:
                yield batch

    def progress(self) -> Progress:
        """From the first failure on it stays as it was."""
        if self._is_progress_known:
            try:
                self._last_progress = now = self._snapshot()
            except Exception as cause:
                self._is_progress_known = False
                logger.warning("the progress of a query cannot be read any more", exc_info=cause)
            else:
                return now
        return self._last_progress

    def cancel(self) -> None:
        """Raises QueryEngineError when something could not be released; a second call then does nothing."""
        self._calls.stop()
        with self._releasing:
            if self._held:
                self._release()

    @property
    def cancel_confirmed(self) -> bool:
        return self._is_confirmed

    def close(self) -> None:
        try:
            self.cancel()
        finally:
            self._executions.remove(self)

    def _hold(self, release: Callable[..., None], *arguments: Any) -> None:
        """Have `release` called on the way out."""
        self._held.append(partial(release, *arguments))

    def _named(self, cause: Exception) -> QueryEngineError:
        """The failure for any exception that comes out of a guarded call or of a release."""
        if isinstance(cause, QueryEngineError):
            return cause
        if isinstance(cause, MemoryError):
            return error(Reason.OUT_OF_MEMORY, "the query needs more memory than its worker may use")
        return self._failure(cause)

    def _checked_begin(self) -> pa.Schema:
        schema = self._begin()
        check_columns(schema.names)
        return schema

    def _guarded(self, call: Callable[..., T], *arguments: Any) -> T:
        try:
            return self._calls.run(call, *arguments)
        except Exception as cause:
            self._raise_named(cause)

    def _raise_named(self, cause: Exception) -> NoReturn:
        found = self._named(cause)
        if found is cause:
            raise cause
        raise found from cause

    def _release(self) -> None:
        """Release everything, then raise the first failure."""
        failures: list[Exception] = []
        while self._held:
            try:
                self._held.pop()()
            except Exception as cause:
                failures.append(cause)
        for further in failures[1:]:
            logger.warning("what a query held could not all be released", exc_info=further)
        if failures:
            self._is_confirmed = False
            self._raise_named(failures[0])
