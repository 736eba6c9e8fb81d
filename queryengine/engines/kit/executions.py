"""The open executions of an engine, so that whoever closes the engine closes them first."""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from queryengine.domain.errors import QueryEngineError
from queryengine.engines.base import Execution

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=Execution)


class OpenExecutions(Generic[E]):
    """Thread-safe."""

    def __init__(self, when_empty: Callable[[], None] = lambda: None) -> None:
        """`when_empty` is called when the last one goes, before another one can come."""
        self._lock = threading.Lock()
        self._open: set[E] = set()
        self._when_empty = when_empty

    def __iter__(self) -> Iterator[E]:
        """Those that are open now; they may come and go meanwhile."""
        with self._lock:
            return iter(tuple(self._open))

    def add(self, execution: E) -> E:
        with self._lock:
            self._open.add(execution)
        return execution

    def remove(self, execution: E) -> None:
        """Called by an execution at the end of its `close`, any number of times."""
        with self._lock:
            self._open.discard(execution)
            if not self._open:
                self._when_empty()

    def close(self) -> None:
        """Close every one; an engine that does not answer keeps none of them, and the log says of which."""
        for execution in self:
            try:
                execution.close()
            except QueryEngineError as cause:
                logger.warning("an execution could not be released with its engine: %s", cause)
