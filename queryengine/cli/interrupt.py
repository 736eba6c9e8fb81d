"""Ctrl-C while a call of gRPC blocks the main thread, where Python's own way of raising KeyboardInterrupt gets lost."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from queryengine.client import QueryEngineClientError


@contextmanager
def interrupted_by(act: Callable[[], None]) -> Iterator[None]:
    """At SIGINT call `act` in a thread of its own, which must make the block raise QueryEngineClientError; what leaves
    the block is then KeyboardInterrupt. Only in the main thread, and not nested.

    The signal is told by a byte on a socket, which the kernel writes even while the main thread runs no Python.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    came = threading.Event()

    def watch() -> None:
        if ours.recv(1):
            came.set()
            act()

    former_handler = signal.signal(signal.SIGINT, lambda *_: None)
    former_descriptor = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, name="ctrl-c", daemon=True)
    watcher.start()
    try:
        yield
    except QueryEngineClientError:
        if not came.is_set():
            raise
    finally:
        signal.set_wakeup_fd(former_descriptor)
        signal.signal(signal.SIGINT, former_handler)
        theirs.close()
        watcher.join()
        ours.close()
    if came.is_set():
        raise KeyboardInterrupt
