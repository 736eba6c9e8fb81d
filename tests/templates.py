"""Templates of workers for servers in this process: copies of one that is started once, as imports cost the most."""

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

import psutil

from queryengine.workers import forking
from queryengine.workers.confinement import environment
from queryengine.workers.forking import StartTemplate, Template, TemplateProcess
from queryengine.workers.forks import COPY, ENDED, MESSAGE, REAP
from tests.support import until

spawn_template = forking.spawn_template
"""The one of the product, whatever conftest puts in its place."""


class Original:
    """A template without a server, that is copied."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            descriptor = theirs.fileno()
            arguments = [str(descriptor), str(os.getpid()), "duckdb", "sqlalchemy"]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "queryengine.workers.template", *arguments],
                pass_fds=[descriptor],
                stdin=subprocess.DEVNULL,
                env={**environment(os.environ, confined=True), **forking.VARIABLES},
            )
        self._dead: set[int] = set()
        """Copies that do not run. The number of one may be another process's once it has been reaped, on our word."""
        self._reaped: set[int] = set()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def core_seconds(self) -> float:
        """Processor time of it and of what was started by it and has ended; 0 once this process has seen its end."""
        if self._process.returncode is not None:
            return 0.0
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def copy(self, control: socket.socket) -> int:
        """The process that has the end of this connection from now on."""
        socket.send_fds(self._control, [MESSAGE.pack(COPY, 0, 0, 0)], [control.fileno()])
        while (answer := MESSAGE.unpack(self._control.recv(MESSAGE.size)))[0] != COPY:
            self._note(answer)
        _, _, pid, value = answer
        assert pid, os.strerror(value)
        # An earlier copy may have had the same number.
        self._dead.discard(pid)
        self._reaped.discard(pid)
        return int(pid)

    def kill(self, pid: int) -> None:
        """End a copy, unless it has ended."""
        self._take_notes()
        if pid not in self._dead:
            os.kill(pid, signal.SIGKILL)

    def has_ended(self, pid: int) -> bool:
        self._take_notes()
        return pid in self._reaped

    def close(self) -> None:
        self._control.close()
        self._process.wait()

    def _take_notes(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._note(MESSAGE.unpack(self._control.recv(MESSAGE.size, socket.MSG_DONTWAIT)))

    def _note(self, message: tuple[bytes, int, int, int]) -> None:
        kind, _, pid, value = message
        assert kind in (ENDED, REAP), f"the template has {value} threads"
        if kind == ENDED:
            self._dead.add(pid)
            self._control.send(MESSAGE.pack(REAP, 0, pid, 0))
        else:
            self._reaped.add(pid)


class Copy:
    def __init__(self, original: Original, pid: int) -> None:
        self._original = original
        self.pid = pid

    def kill(self) -> None:
        self._original.kill(self.pid)

    async def wait(self) -> None:
        await until(lambda: self._original.has_ended(self.pid))


@cache
def original() -> Original:
    """That of this process, started at the first call."""
    return Original()


async def copy_template(control: socket.socket, **_: object) -> TemplateProcess:
    """In the place of `spawn_template`."""
    return Copy(original(), original().copy(control))


def forked() -> set[int]:
    """Processes that copies have forked and that run."""
    below = {child for copy in psutil.Process(original().pid).children() for child in copy.children()}
    return {child.pid for child in below if child.status() != psutil.STATUS_ZOMBIE}


def runs(pid: int) -> bool:
    """Whether a process has not ended; one that nobody has reaped has."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def no_more_processes(*_: object) -> NoReturn:
    """In the place of `Template.start_worker`, on a machine that is full."""
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


@asynccontextmanager
async def template(start: StartTemplate = copy_template) -> AsyncIterator[Template]:
    """A template of a test's own."""
    found = Template(start)
    try:
        yield found
    finally:
        await found.close()
