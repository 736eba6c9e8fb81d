"""A worker process: bounds and confines itself, takes a role, answers frames until the server is gone.

Forked from a template (`workers/template.py`), or started as `python -m queryengine.workers.main FD PARENT_PID`.
"""

import ctypes
import gc
import os
import resource
import select
import signal
import socket
import sys
import time
from functools import partial
from typing import Any, Final, NoReturn

from queryengine.engines.kit import alike
from queryengine.engines.kit.reach import Reach
from queryengine.results.spool.locations import folder_of
from queryengine.telemetry.logs import LogStyle, set_up_logging
from queryengine.workers.confinement import Confinement
from queryengine.workers.protocol import Frame, receive_frame
from queryengine.workers.relay import Relay

PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with(parent)
    ignore_terminal()
    with socket.socket(fileno=descriptor) as connection:
        run(connection)


def run(connection: socket.socket) -> None:
    """Be a worker, in a process that is nothing else yet. Returns when the server is gone before it said which."""
    os.umask(0o077)
    first = receive_frame(connection)
    if first is None:
        return
    os.environ.clear()
    os.environ.update(first.header["environment"])
    time.tzset()
    set_up_logging(LogStyle(**first.header["log"]))
    os.nice(first.header.get("niceness", 0))
    _bound_memory(first.header["memory_limit_mib"])
    _serve(connection, first)


def die_with(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent dies, so that no worker outlives its server."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def ignore_terminal() -> None:
    """Ctrl-C on a terminal, and its end, are the server's to handle; a worker ends when the server does."""
    for each in (signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)


def _serve(connection: socket.socket, first: Frame) -> NoReturn:
    relay = Relay()
    if first.type == "engine":
        if not first.header["is_first"]:
            alike.keep_silent()
        confinement = Confinement.of_engine(first.header)
        # Imported now, as drivers start threads, which would not be confined if they ran already.
        from queryengine.workers.executing import EngineRole

        role: Any = EngineRole(connection, first.header, confinement, relay)
    else:
        spool = folder_of(first.header.get("spool", ""))
        confinement = Confinement(Reach(), read=spool, store=first.header.get("cuts", ""))
        confinement.give_up_calls()
        from queryengine.workers.sandbox_role import SandboxRole

        role = SandboxRole(connection, first.header)
    # What is there by now stays: collections need not look at it again and again.
    gc.collect()
    gc.freeze()
    arrival = select.poll()
    arrival.register(connection, select.POLLIN)
    relay.serve(partial(_read, connection, arrival, role))


def _read(connection: socket.socket, arrival: select.poll, role: Any) -> None:
    """Look after what runs, wait for a frame or until that is needed again, and handle the frame."""
    seconds = role.attend()
    if seconds is not None and not arrival.poll(seconds * 1000):
        return
    frame = receive_frame(connection)
    if frame is None:
        # Threads may still sit in engine code that does not listen; nothing of them is wanted any more.
        os._exit(0)
    if frame.type == "log":
        set_up_logging(LogStyle(**frame.header["log"]))
    else:
        role.handle(frame)


def _bound_memory(limit_mib: int) -> None:
    """A memory bomb then fails inside this process, as an ordinary allocation error."""
    if limit_mib:
        limit = limit_mib << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
