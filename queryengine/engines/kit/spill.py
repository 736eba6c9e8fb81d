"""Where an engine inside a worker spills what does not fit its memory: a folder of that process alone."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "duckdb-worker-"


def spill_folder(parent: str) -> str:
    """The folder of this process in `parent`, made if need be; empty without a parent. Those of processes that are
    gone, as after a kill, are removed when it is made. Raises OSError.
    """
    if not parent:
        return ""
    own = _own(parent)
    if not own.is_dir():
        for left in Path(parent).glob(f"{_PREFIX}*"):
            pid = left.name.removeprefix(_PREFIX)
            if pid.isdigit() and not _is_running(int(pid)):
                shutil.rmtree(left, ignore_errors=True)
        Path(parent).mkdir(parents=True, exist_ok=True)
        own.mkdir(mode=0o700)
    return str(own)


def remove_spill(parent: str) -> None:
    """Remove the folder of this process. Never raises."""
    if parent:
        with suppress(OSError):
            shutil.rmtree(_own(parent))


def _own(parent: str) -> Path:
    return Path(parent) / f"{_PREFIX}{os.getpid()}"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
