"""Worker processes as the server starts them: forked from a template, a process of its own (`workers/template.py`).

A template that is gone takes its workers along, and the next worker that is asked for starts another one.
"""

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any, Final, Protocol

from queryengine.workers.confinement import environment
from queryengine.workers.forks import ENDED, FORK, MESSAGE, REAP, SPAWNED

logger = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 60.0
"""Longest wait for a worker to be forked, which includes the imports of the process that forks it."""

VARIABLES: Final = {
    # glibc returns freed memory to the kernel and takes it back page by page, which costs more than encoding rows. A
    # worker keeps its memory instead; RLIMIT_AS bounds what it can hold on to.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
    # Threads that libraries would start as they are imported, for nothing that a worker does.
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""What a template is started with, beside the environment of a confined worker."""


class TemplateProcess(Protocol):
    """The process of a template."""

    def kill(self) -> None: ...

    async def wait(self) -> Any: ...


StartTemplate = Callable[[socket.socket], Awaitable[TemplateProcess]]
"""Starts the process that has the other end of the server's control socket."""


async def spawn_template(control: socket.socket, engine_types: Collection[str] = ()) -> TemplateProcess:
    """Start the program, which imports the adapters of these types, too."""
    descriptor = control.fileno()
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "queryengine.workers.template",
        str(descriptor),
        str(os.getpid()),
        *engine_types,
        pass_fds=[descriptor],
        stdin=asyncio.subprocess.DEVNULL,
        env={**environment(os.environ, confined=True), **VARIABLES},
    )


class Child:
    """A process that a template started."""

    def __init__(self, pid: int, gone: "asyncio.Future[None]") -> None:
        self.pid = pid
        self.returncode: int | None = None
        """Its exit code, negative for a signal; None as long as it is not known to have ended."""
        self._gone = gone

    def kill(self) -> None:
        """SIGKILL. Does nothing when the process has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def ended(self, code: int) -> None:
        """Its id may be that of another process from now on."""
        self.returncode = code

    def gone(self) -> None:
        """Nothing of it is left."""
        self._gone.set_result(None)

    async def wait(self) -> int:
        """Its exit code, once nothing of it is left."""
        await asyncio.shield(self._gone)
        assert self.returncode is not None
        return self.returncode


class Template:
    """Starts workers. `close` must be called, once all of them have been closed."""

    def __init__(self, start: StartTemplate) -> None:
        self._start = start
        self._current: _Connection | None = None
        self._starting = asyncio.Lock()
        self._preparing: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Begin to start the process, as its imports take a while; returns at once."""
        self._preparing = asyncio.create_task(self._prepared(), name="worker-template")

    async def start_worker(self, connection: socket.socket) -> Child:
        """A new worker, which has this end of a connection. Raises OSError. A caller that leaves must close the other
        end, by which the worker ends.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                try:
                    return await (await self._connected()).start_worker(connection)
                except BrokenPipeError:
                    # It ended a moment ago, and was asked for nothing.
                    return await (await self._connected()).start_worker(connection)
        except TimeoutError as cause:
            # It is left alone, as other workers would end with it.
            raise OSError(errno.ETIMEDOUT, f"no answer within {ANSWER_SECONDS:g} seconds") from cause

    async def close(self) -> None:
        """End the process and what was forked from it. Idempotent."""
        if self._preparing is not None:
            await self._preparing
        async with self._starting:
            current, self._current = self._current, None
            if current is not None:
                await current.close()

    async def _prepared(self) -> None:
        with suppress(OSError):
            # Whoever wants a worker tries again, and is the one to report it.
            await self._connected()

    async def _connected(self) -> "_Connection":
        async with self._starting:
            if self._current is not None and self._current.is_gone:
                gone, self._current = self._current, None
                logger.warning("the process that workers are forked from has ended; another one is started")
                await gone.close()
            if self._current is None:
                self._current = await _Connection.opened(self._start)
            return self._current


class _Connection:
    """A template that runs, or has ended."""

    def __init__(self, control: socket.socket, process: TemplateProcess) -> None:
        self._loop = asyncio.get_running_loop()
        self._control = control
        self._process = process
        self._asked = 0
        self._answers: dict[int, asyncio.Future[Child]] = {}
        self._children: dict[int, Child] = {}
        self._ending: asyncio.Task[None] | None = None
        self._has_warned = False
        self._loop.add_reader(control.fileno(), self._read)

    @classmethod
    async def opened(cls, start: StartTemplate) -> "_Connection":
        """Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            with theirs:
                process = await start(theirs)
        except BaseException:
            ours.close()
            raise
        return cls(ours, process)

    @property
    def is_gone(self) -> bool:
        return self._ending is not None

    async def start_worker(self, connection: socket.socket) -> Child:
        self._asked += 1
        number = self._asked
        answer: asyncio.Future[Child] = self._loop.create_future()
        self._answers[number] = answer
        try:
            socket.send_fds(self._control, [MESSAGE.pack(FORK, number, 0, 0)], [connection.fileno()])
            child = await answer
        except BrokenPipeError:
            self._end()
            raise
        finally:
            del self._answers[number]
        return child

    async def close(self) -> None:
        self._end()
        assert self._ending is not None
        await asyncio.shield(self._ending)

    def _read(self) -> None:
        try:
            while message := self._control.recv(MESSAGE.size):
                self._take(*MESSAGE.unpack(message))
        except BlockingIOError:
            return
        except ConnectionError:
            pass
        self._end()

    def _take(self, kind: bytes, number: int, pid: int, value: int) -> None:
        if kind == ENDED:
            self._children[pid].ended(value)
            with suppress(OSError):
                # One that is gone has no ids to keep.
                self._control.send(MESSAGE.pack(REAP, 0, pid, 0))
            return
        if kind == REAP:
            self._children.pop(pid).gone()
            return
        answer = self._answers.get(number)
        if answer is not None and answer.done():
            answer = None
        if pid:
            child = self._children[pid] = Child(pid, self._loop.create_future())
            if answer is None:
                # Whoever asked has left.
                child.kill()
            else:
                answer.set_result(child)
        elif answer is not None:
            answer.set_exception(OSError(value, os.strerror(value)))
        if kind == SPAWNED and not self._has_warned:
            self._has_warned = True
            logger.warning("workers are spawned, which takes longer than a fork: the template has %d threads", value)

    def _end(self) -> None:
        if self._ending is None:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()
            self._process.kill()
            self._ending = asyncio.ensure_future(self._ended())

    async def _ended(self) -> None:
        # The kernel has killed its children when this has ended.
        await self._process.wait()
        for child in self._children.values():
            child.ended(-signal.SIGKILL if child.returncode is None else child.returncode)
            child.gone()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(OSError(errno.ECHILD, "the process that workers are forked from has ended"))
