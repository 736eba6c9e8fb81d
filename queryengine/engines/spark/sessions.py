"""Sessions for executions: a new one each time, or such as are kept and used again, one execution at a time.

Which settings, catalog and schema a session has is its kind; only an execution of the same kind gets it. A query leaves
nothing else in its session, as it cannot set anything, but Spark remembers there which files a table has.
"""

import threading
from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from typing import Final

import grpc

from queryengine.engines.spark.client import NOT_ANSWERED, Connection, Operation, Session

KEPT_MAX: Final = 4


class Sessions:
    """Keeps those that were given back last. Thread-safe."""

    def __init__(self, connection: Connection, kept_max: int) -> None:
        """With 0 none is kept."""
        self._connection = connection
        self._kept_max = kept_max
        self._lock = threading.Lock()
        self._kept: list[tuple[Hashable, Session]] = []

    def take(self, kind: Hashable, settings: Mapping[str, str]) -> Session:
        """A session of this kind that nobody else uses, with these settings. Raises grpc.RpcError."""
        session = self._take_kept(kind)
        if session is not None:
            try:
                session.configure(settings)
            except grpc.RpcError as cause:
                # Spark gives up a session that was idle for long, and forgets all of them when it is started again.
                _release(session)
                if cause.code() in NOT_ANSWERED:
                    raise
            else:
                return session
        session = Session(self._connection)
        try:
            session.configure(settings)
        except grpc.RpcError:
            _release(session)
            raise
        return session

    def give_back(self, kind: Hashable, session: Session, operations: Iterable[Operation]) -> None:
        """Of an execution that ended well, with its operations."""
        if not self._kept_max:
            _release(session)
            return
        try:
            for operation in operations:
                operation.release()
        except grpc.RpcError:
            _release(session)
            return
        with self._lock:
            kept = [*self._kept, (kind, session)]
            over = max(0, len(kept) - self._kept_max)
            self._kept = kept[over:]
        _release(*(each for _, each in kept[:over]))

    def close(self) -> None:
        """Release those that are kept, and keep none that is given back later. Idempotent."""
        with self._lock:
            kept, self._kept, self._kept_max = self._kept, [], 0
        _release(*(each for _, each in kept))

    def _take_kept(self, kind: Hashable) -> Session | None:
        with self._lock:
            for number in reversed(range(len(self._kept))):
                if self._kept[number][0] == kind:
                    return self._kept.pop(number)[1]
        return None


def _release(*sessions: Session) -> None:
    for session in sessions:
        with suppress(grpc.RpcError):
            session.release()
