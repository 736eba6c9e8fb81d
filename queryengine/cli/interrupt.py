"""Signals that end a command: Ctrl-C, and what a shell, a terminal or a supervisor sends.

Python raises KeyboardInterrupt for Ctrl-C only, and even that gets lost while a call of gRPC blocks the main thread.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from queryengine.client import QueryEngineClientError

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """This signal came."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        return 128 + self.number


@contextmanager
def raised() -> Iterator[None]:
    """In the block each of these signals raises Interrupted in the main thread. One that is ignored, as under nohup,
    stays so.
    """

    def on_signal(number: int) -> None:
        raise Interrupted(number)

    with _handled_by(on_signal):
        yield


@contextmanager
def interrupted_by(act: Callable[[], None]) -> Iterator[None]:
    """At such a signal call `act` in a thread of its own, which must make the block raise QueryEngineClientError; what
    leaves the block is then Interrupted. Only in the main thread, and not nested.

    The signal comes as a byte on a socket, which the kernel writes even while the main thread runs no Python.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    came: list[int] = []

    def watch() -> None:
        while number := ours.recv(1):
            if number[0] in ENDING and not came:
                came.append(number[0])
                act()

    former_descriptor = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    try:
        with _handled_by(lambda _: None):
            yield
    except QueryEngineClientError:
        if not came:
            raise
    finally:
        signal.set_wakeup_fd(former_descriptor)
        theirs.close()
        watcher.join()
        ours.close()
    if came:
        raise Interrupted(came[0])


@contextmanager
def _handled_by(handler: Callable[[int], None]) -> Iterator[None]:
    terminals = _terminals()

    def on_signal(number: int, _frame: object) -> None:
        if number == signal.SIGHUP:
            _silence(terminals)
        handler(number)

    heard = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    former = {number: signal.signal(number, on_signal) for number in heard}
    try:
        yield
    finally:
        for number, usual in former.items():
            signal.signal(number, usual)


def _terminals() -> list[int]:
    """Descriptors of standard output and error that are terminals. One that went away is no longer known as such."""
    streams = (sys.__stdout__, sys.__stderr__)
    return [stream.fileno() for stream in streams if stream is not None and stream.isatty()]


def _silence(descriptors: list[int]) -> None:
    """A terminal that went away fails every write to it, also those of a clean end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
