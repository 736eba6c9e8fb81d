"""A server that tests share: started when first asked for, stopped when the session ends."""

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar

import psutil
import pytest

from tests.servers.cache import cache_folder
from tests.servers.launch import prefix

STOP_SECONDS = 20.0


class Server(ABC):
    """One real engine server. `fetch` may use package registries; nothing else does."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.folder = Path()
        """Its data and its log; gone when it has stopped."""
        self.processes: list[subprocess.Popen[bytes]] = []

    @abstractmethod
    def fetch(self) -> None:
        """Bring what it needs into the cache. Fast when it is there. Raises when it cannot be had."""

    @abstractmethod
    def missing(self) -> str:
        """Why it cannot be started now; empty when it can. Without I/O beyond looking at files."""

    @abstractmethod
    def start(self) -> None:
        """Start it, by `run`, and return when it answers."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Options of the engine that uses it."""

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        cwd: Path | str | None = None,
        user: pwd.struct_passwd | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process that ends with the server, or with this process; its output goes to `log`."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*prefix(user, bound=True), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=cwd,
            )
        self.processes.append(process)
        return process

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def alive(self) -> None:
        """Raises with the end of its log when a process of it has died."""
        for process in self.processes:
            if process.poll() is not None:
                tail = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} ended with code {process.returncode}:\n{tail}")

    def stop(self) -> None:
        """End what `run` started, children first asked, then killed; remove the folder. Idempotent."""
        for process in reversed(self.processes):
            below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for child in psutil.wait_procs(below, 1.0)[1]:
                child.kill()
        self.processes.clear()
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)


def folder_of_its_own(name: str, within: Path) -> Path:
    """A new folder whose name holds the id of this process; those that processes left which have ended are removed."""
    within.mkdir(parents=True, exist_ok=True)
    for folder in within.glob(f"{name}-of-*"):
        owner = folder.name.removeprefix(f"{name}-of-").partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-of-{os.getpid()}-", dir=within))


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment, and that no other process of tests gets from here while
    this one lives: between now and the start of a server the system would give it to the next who asks.
    """
    taken = cache_folder() / "run" / "ports"
    taken.mkdir(parents=True, exist_ok=True)
    while True:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port: int = listening.getsockname()[1]
        mark = (taken / str(port)).open("w")
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            mark.close()
            continue
        _ports.append(mark)
        return port


_ports: list[IO[str]] = []
"""Open files, each of which holds the lock on a port until this process ends."""


def port_locks() -> list[str]:
    """The files that stay open for `free_port`."""
    return [mark.name for mark in _ports]


_running: dict[str, Server] = {}


def shared(server_class: type[Server]) -> Server:
    """The server of this session, started if it is not up. Skips the test when it was not fetched; under CI fails."""
    if server_class.name not in _running:
        server = server_class()
        why = server.missing()
        if why:
            message = f"{server.name} cannot be started: {why}; `make engines` fetches it"
            if os.environ.get("CI") == "true":
                pytest.fail(message, pytrace=False)
            pytest.skip(message)
        server.folder = folder_of_its_own(server.name, cache_folder() / "run")
        try:
            server.start()
        except BaseException:
            server.stop()
            raise
        _running[server_class.name] = server
    return _running[server_class.name]


def shared_processes() -> set[int]:
    """Process ids of the servers that outlive a test."""
    return {process.pid for server in _running.values() for process in server.processes}


def stop_shared(server_class: type[Server]) -> None:
    """Stop one, if it is up: for tests that leave a server unusable, or for one that few tests need."""
    server = _running.pop(server_class.name, None)
    if server is not None:
        server.stop()


def stop_all() -> None:
    """Stop every shared server."""
    while _running:
        _, server = _running.popitem()
        server.stop()
