"""Processes of a benchmark: started, asked, measured by their CPU time, and ended with everything they started."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import psutil

# Both sides of every comparison get this: without it, most of the time of a large result goes to page faults.
KEEP_MEMORY: Final = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
STOP_SECONDS: Final = 20
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
UNLIMITED: Final = MappingProxyType({"tenant_running": 1000, "tenant_queued": 10_000, "tenant_streams": 1000})


class Program:
    """A Python module that runs as a process and talks over its standard input and output, a line at a time."""

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - Closed by stop.
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **KEEP_MEMORY, **(environment or {})},
        )
        self._tree = psutil.Process(self._process.pid)

    def line(self, pattern: str) -> str:
        """Read lines until one matches; returns its first group."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = re.search(pattern, line)
            if found:
                return found[1]
        self._errors.seek(0)
        raise RuntimeError(f"{self._process.args!r} ended with code {self._process.wait()}: {self._errors.read()}")

    def go(self, pattern: str) -> str:
        """Send an empty line and read as `line` does."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        return self.line(pattern)

    def ask(self, **question: Any) -> dict[str, Any]:
        """Send one JSON line, return the one that comes back."""
        assert self._process.stdin is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.line(r"^(\{.*\})$"))
        return answer

    def core_seconds(self) -> tuple[float, float]:
        """CPU time so far of the process, and of all processes below it."""
        return _core_seconds([self._tree]), _core_seconds(self._tree.children(recursive=True))

    def resident_mib(self) -> float:
        """Memory of the process alone."""
        return float(self._tree.memory_info().rss) / 2**20

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()


def _core_seconds(processes: list[psutil.Process]) -> float:
    total = 0.0
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system
    return total


@contextmanager
def program(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Program]:
    started = Program(module, *arguments, environment=environment)
    try:
        yield started
    finally:
        started.stop()


@contextmanager
def server(
    options: Mapping[str, Any] | None = None,
    *,
    limits: Mapping[str, Any] = UNLIMITED,
    groups: Mapping[str, Any] = NOTHING,
) -> Iterator[tuple[Program, str]]:
    """A queryengine server with one DuckDB engine, all defaults but its limits per tenant and further groups of
    settings; yields its address.
    """
    with tempfile.TemporaryDirectory(prefix="queryengine-bench-") as folder:
        settings = {
            "server": {
                "listen": "127.0.0.1:0",
                "admin_listen": "127.0.0.1:0",
                "metrics_listen": "127.0.0.1:0",
                "drain_seconds": 0,
            },
            "state": {"directory": str(Path(folder) / "state")},
            "engines": {"duckdb": {"type": "duckdb", "options": dict(options or {})}},
            "limits": dict(limits),
            "log": {"level": "warning"},
            **groups,
        }
        # JSON is YAML.
        path = Path(folder) / "queryengine.yaml"
        path.write_text(json.dumps(settings))
        with program("queryengine", "serve", "--config", str(path)) as running:
            yield running, running.line(r"gRPC\s+(\S+)")


def machine() -> str:
    """What a figure depends on, in one line."""
    from importlib.metadata import version

    names = ("grpcio", "pyarrow", "duckdb")
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, Python {python}, {libraries}"
