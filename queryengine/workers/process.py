"""One worker process as the server sees it: start, send, receive, kill."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from queryengine.telemetry.logs import LogStyle
from queryengine.workers.channel import FrameChannel
from queryengine.workers.confinement import environment
from queryengine.workers.forking import Child, Template
from queryengine.workers.protocol import Frame, encode

REAP_SECONDS: Final = 1.0
"""For a process that has closed its socket to be gone."""


class WorkerProcess:
    """A started worker. `close` or `kill` must be called; the process also ends when the server does."""

    def __init__(self, process: Child, channel: FrameChannel) -> None:
        self._process = process
        self._channel = channel

    @classmethod
    async def start(
        cls, role: dict[str, Any], log: LogStyle, template: Template, *, withheld: Collection[str] = frozenset()
    ) -> "WorkerProcess":
        """Have a process forked and hand it its role. Returns before the role is ready: its first frame says so.
        Variables of the environment that are withheld are not handed on.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await template.start_worker(theirs)
            try:
                loop = asyncio.get_running_loop()
                _, channel = await loop.create_connection(partial(FrameChannel, loop), sock=ours)
            except BaseException:
                # Also when the caller leaves at this moment; nobody else knows the process.
                process.kill()
                await asyncio.shield(process.wait())
                raise
        except BaseException:
            ours.close()
            raise
        worker = cls(process, channel)
        variables = environment(os.environ, confined=role.get("confine", True), withheld=withheld)
        worker.send(encode({**role, "log": asdict(log), "environment": variables}))
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_gone(self) -> bool:
        return self._process.returncode is not None or self._channel.is_closed

    @property
    def left_unread(self) -> bool:
        """Of a process that is gone: whether something that was sent to it was never read."""
        return self._channel.left_unread

    def cpu_seconds(self) -> float | None:
        """Processor time that the process has used; None when it is gone."""
        try:
            # The clock of another process, as clock_getcpuclockid(3) makes it from a process id.
            return time.clock_gettime((~self._process.pid << 3) | 2)
        except OSError:
            return None

    def send(self, frame: bytes) -> None:
        """Queue a frame. Does nothing when the process is gone, which `receive` and `listen` show."""
        self._channel.send(frame)

    async def receive(self) -> Frame | None:
        """The next frame, or None when the process is gone."""
        return await self._channel.receive()

    async def listen(self, listener: Callable[[Frame], None]) -> None:
        """Call `listener` with each frame as it arrives, until the process is gone. What the listener raises ends the
        connection, and is raised here.
        """
        await self._channel.listen(listener)

    def kill(self) -> None:
        """SIGKILL. Does nothing when the process is gone."""
        self._process.kill()

    async def exit_code(self) -> int:
        """As `close`, of a process that is gone: what it ended by, which a kill at that moment might hide."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REAP_SECONDS):
                await self._process.wait()
        return await self.close()

    async def close(self) -> int:
        """Kill, wait until the process is gone, release the socket; returns the exit code, negative for a signal.
        Idempotent. Nothing a worker holds needs a farewell: what it wrote is in the spool.
        """
        self.kill()
        return await self.wait()

    async def wait(self) -> int:
        """As `close`, but lets the process end by itself."""
        code = await self._process.wait()
        self._channel.close()
        return code
