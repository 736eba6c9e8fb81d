"""The process that workers are forked from: it has imported what they need, and has one thread and no secrets.

Started as `python -m queryengine.workers.template FD PARENT_PID [ENGINE_TYPE ...]`. The server itself is never forked,
as it holds threads and gRPC. Should an import have started a thread, workers are spawned, each as a new program.
"""

import gc
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import queryengine.workers.executing
import queryengine.workers.sandbox_role  # noqa: F401 - Imported for the workers.
from queryengine.domain.errors import QueryEngineError
from queryengine.engines.registry import engine_class
from queryengine.workers import landlock
from queryengine.workers.forks import ENDED, FORK, MESSAGE, REAP, SPAWNED
from queryengine.workers.main import die_with, ignore_terminal, run


class TemplateRole:
    """Answers a server until it is gone."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: set[int] = set()
        self._woken, self._wake = socket.socketpair()
        for each in (self._woken, self._wake):
            each.setblocking(False)

    def serve(self) -> NoReturn:
        # Without a handler the kernel would not interrupt the wait.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        arrival = select.poll()
        arrival.register(self._control, select.POLLIN)
        arrival.register(self._woken, select.POLLIN)
        while True:
            for descriptor, _ in arrival.poll():
                if descriptor == self._woken.fileno():
                    self._woken.recv(4096)
                    self._report_ends()
                else:
                    self._answer()

    def _answer(self) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE.size, 1)
        except ConnectionError:
            message = b""
        if not message:
            # The server is gone, and all workers go with this process.
            os._exit(0)
        kind, number, pid, _ = MESSAGE.unpack(message)
        if kind == REAP:
            os.waitpid(pid, 0)
            self._send(message)
            return
        with socket.socket(fileno=descriptors[0]) as connection:
            self._start(kind, number, connection)

    def _start(self, kind: bytes, number: int, connection: socket.socket) -> None:
        threads = landlock.threads()
        try:
            if threads > 1:
                pid = _spawn(connection)
                answer = MESSAGE.pack(SPAWNED, number, pid, threads)
            else:
                pid = self._fork(run if kind == FORK else lambda control: TemplateRole(control).serve(), connection)
                answer = MESSAGE.pack(kind, number, pid, 0)
            self._children.add(pid)
        except OSError as cause:
            answer = MESSAGE.pack(kind, number, 0, cause.errno or 0)
        self._send(answer)

    def _fork(self, work: Callable[[socket.socket], None], connection: socket.socket) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (self._control, self._woken, self._wake):
                each.close()
            die_with(parent)
            work(connection)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _report_ends(self) -> None:
        for pid in sorted(self._children):
            # Left as it is, so that its id stays taken for as long as the server might send it a signal.
            found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is not None:
                self._children.remove(pid)
                code = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
                self._send(MESSAGE.pack(ENDED, 0, pid, code))

    def _send(self, message: bytes) -> None:
        try:
            self._control.send(message)
        except ConnectionError:
            os._exit(0)


def _spawn(connection: socket.socket) -> int:
    connection.set_inheritable(True)
    arguments = [sys.executable, "-m", "queryengine.workers.main", str(connection.fileno()), str(os.getpid())]
    return os.posix_spawn(sys.executable, arguments, os.environ)


def main() -> None:
    descriptor, parent, *engine_types = sys.argv[1:]
    die_with(int(parent))
    ignore_terminal()
    for each in engine_types:
        try:
            engine_class(each)
        except (QueryEngineError, ValueError):
            # What is wrong with it, its workers say.
            continue
    # Not looked at by the collections of workers, whose writes would make the pages theirs.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(descriptor)) as control:
        # For no program that this one starts.
        control.set_inheritable(False)
        TemplateRole(control).serve()


if __name__ == "__main__":
    main()
