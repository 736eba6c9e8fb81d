"""Sessions for executions, one of them opened ahead: Spark takes longer to open one than for a short query."""

import threading
from collections.abc import Mapping
from contextlib import suppress

import grpc

from queryengine.engines.spark.client import NOT_ANSWERED, Connection, Session


class Sessions:
    """Each is handed out once. Thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._spare: Session | None = None
        self._is_closed = False

    def take(self, settings: Mapping[str, str]) -> Session:
        """A session that nobody has used, with these settings. Raises grpc.RpcError."""
        with self._lock:
            session, self._spare = self._spare, None
        if session is not None:
            try:
                session.configure(settings)
            except grpc.RpcError as cause:
                # Spark gives up a session that was idle for long, and forgets all of them when it is started again.
                if cause.code() in NOT_ANSWERED:
                    raise
            else:
                return session
        session = Session(self._connection)
        session.configure(settings)
        return session

    def prepare(self) -> None:
        """Open the next one, if it is not there. Does nothing when Spark does not answer."""
        if self._spare is not None:
            return
        session = Session(self._connection)
        # A ValueError is what gRPC says of a channel that was closed.
        with suppress(grpc.RpcError, ValueError):
            session.configure({})
            with self._lock:
                is_wanted = self._spare is None and not self._is_closed
                if is_wanted:
                    self._spare = session
            if not is_wanted:
                session.release()

    def close(self) -> None:
        """Release the one that is open ahead. Idempotent."""
        with self._lock:
            session, self._spare, self._is_closed = self._spare, None, True
        if session is not None:
            with suppress(grpc.RpcError):
                session.release()
