"""Prepares the demo's data in a folder of its own, serves it, and removes the folder."""

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from queryengine import settings
from queryengine.app import process
from queryengine.demo.data import FLIGHTS, TPCH_SCALE, start_tpch, write_flights
from queryengine.demo.examples import DEFAULT_ADDRESS, guide

_PREFIX: Final = "QUERYENGINE_"
_KEPT: Final = ("QUERYENGINE_SERVER__", "QUERYENGINE_LOG__")
_ANY_PORT: Final = "127.0.0.1:0"


def serve(program: str, say: Callable[[str], None], *, insecure: bool = False) -> int:
    """Run the demo until SIGTERM or SIGINT; returns the exit code. `say` takes a line on what takes its time.

    Raises DataMissingError when a package is not installed, and SettingsError for a setting in the environment.
    """
    # Whoever tries something must not open the state of a real server, whose settings may be in the environment.
    for name in [name for name in os.environ if name.upper().startswith(_PREFIX)]:
        if not name.upper().startswith(_KEPT):
            del os.environ[name]
    # As an exception, so that the folder goes also before the server has handlers of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="queryengine-demo-") as folder:
        root = Path(folder)
        say(f"queryengine demo: writing {FLIGHTS:,} flights and TPC-H at scale {TPCH_SCALE}, a few seconds")
        with start_tpch(root / "tpch") as tpch:
            write_flights(root / "flights")
        if tpch.returncode:
            say(f"TPC-H could not be written, exit code {tpch.returncode}")
            return 1
        engines = {name: over_folder(root / name) for name in ("flights", "tpch")}
        ports = {"listen": free_or_any(DEFAULT_ADDRESS), "admin_listen": _ANY_PORT, "metrics_listen": _ANY_PORT}
        config = write_config(root, engines, ports)
        loaded = settings.load(str(config))
        return process.serve(
            loaded, program=program, guide=lambda address: guide(address, program, folder), insecure=insecure
        )


def free_or_any(address: str) -> str:
    """The address, or one that the system chooses when another server listens there."""
    host, _, port = address.partition(":")
    try:
        with socket.create_server((host, int(port))):
            return address
    except OSError:
        return f"{host}:0"


def over_folder(folder: Path) -> dict[str, Any]:
    """An engine over the files of a folder that leaves room for others on a small machine."""
    return {"type": "duckdb", "workers": 2, "options": {"directory": str(folder), "threads": 1}}


def write_config(root: Path, engines: Mapping[str, Any], server: Mapping[str, str], **groups: Any) -> Path:
    """Write the settings of a server that keeps its state below a folder; the first engine is the default. `groups` are
    further groups of settings.
    """
    values = {
        "server": dict(server),
        "state": {"directory": str(root / "state")},
        "engines": dict(engines),
        "default_engine": next(iter(engines)),
        **groups,
    }
    path = root / "queryengine.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path
