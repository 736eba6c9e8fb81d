"""A server as an operator runs it: a process of its own with a settings file, a banner, signals and an exit code."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.support import ENGINES, LOOPBACK, ROOT, until_sync

START_SECONDS = 60.0


class ServerProcess:
    """Started over and over on one folder, with one set of settings."""

    def __init__(self, folder: Path, **groups: Any) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.gate = folder / "gate"
        """For scripts to wait at, before a kill and after."""
        self._config = folder / "queryengine.yaml"
        self._output = folder / "output"
        self._errors = folder / "errors"
        self.inside: tuple[str, ...] = ()
        """A command that runs the server, for a world of its own around it."""
        self.arguments: tuple[str, ...] = ()
        """Of serve, beside its settings."""
        self.program: tuple[str, ...] = (sys.executable, "-m", "queryengine")
        self.started_in = ROOT
        self._process: subprocess.Popen[bytes] | None = None
        settings = {
            "server": dict(LOOPBACK),
            "engines": {name: dict(engine) for name, engine in ENGINES.items()},
            **groups,
            "state": {"directory": str(self.state)},
        }
        self._config.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def start(self) -> None:
        """Start it and wait for the banner."""
        process = self.launch()
        until_sync(lambda: "  try" in self.output or process.poll() is not None, seconds=START_SECONDS)
        assert process.poll() is None, self.errors

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start it and wait for nothing."""
        command = [*self.inside, *self.program, "serve", "--config", str(self._config), *self.arguments]
        with self._output.open("wb") as output, self._errors.open("ab") as errors:
            self._process = subprocess.Popen(command, cwd=self.started_in, stdout=output, stderr=errors)
        return self._process

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8")

    @property
    def errors(self) -> str:
        return self._errors.read_text(encoding="utf-8")

    @property
    def address(self) -> str:
        return self._told("gRPC")

    @property
    def admin_address(self) -> str:
        return self._told("health")

    @property
    def metrics_address(self) -> str:
        return self._told("metrics").removeprefix("http://").removesuffix("/metrics")

    @property
    def resident_bytes(self) -> int:
        """Memory of the server itself, without its workers."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def kill(self) -> None:
        """SIGKILL, and wait until the server and its workers are gone."""
        workers = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        gone, alive = psutil.wait_procs(workers, timeout=5)
        assert not alive, f"workers outlived their server: {alive}"
        assert gone

    def terminate(self) -> None:
        """SIGTERM; returns at once."""
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Make sure that it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _told(self, what: str) -> str:
        return next(line.split()[1] for line in self.output.splitlines() if line.split()[:1] == [what])


@contextmanager
def server_process(folder: Path, **groups: Any) -> Iterator[ServerProcess]:
    """A server process that does not outlive the block; not started yet."""
    server = ServerProcess(folder, **groups)
    try:
        yield server
    finally:
        server.end()
