"""Where fetched servers live: outside the repository, shared by all checkouts, safe to delete at any time."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """$QUERYENGINE_CACHE, else queryengine below the user's cache folder."""
    chosen = os.environ.get("QUERYENGINE_CACHE")
    if chosen:
        return Path(chosen)
    home = os.environ.get("HOME") or str(Path(tempfile.gettempdir()) / f"home-{os.getuid()}")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path(home) / ".cache") / "queryengine"


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """One process at a time fetches a thing."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, filled by `make` if it is not there. What fails half-way leaves no folder."""
    folder = cache_folder() / name
    with _locked(name):
        if not folder.exists():
            unfinished = folder.with_name(f"{name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder


def packages_name(requirements: Path) -> str:
    """The folder of the cache that holds the packages of a lock file, by its content and by Python."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    return f"{requirements.stem}-{python}-{digest}"


def packages(requirements: Path) -> Path:
    """A folder for PYTHONPATH with the packages of a lock file, installed without touching this environment."""

    def install(folder: Path) -> None:
        arguments = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), "-r", str(requirements)]
        subprocess.run([sys.executable, *arguments], check=True)

    return made_once(packages_name(requirements), install)
