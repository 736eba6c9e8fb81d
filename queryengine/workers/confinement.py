"""What a worker gives up before other people's SQL reaches it, so that what gets past an engine gets no further.

Files by Landlock, sockets and other programs by seccomp, variables of the environment by name. What the kernel lacks is
left out, and said.
"""

import os
import sys
import sysconfig
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import queryengine
from queryengine.engines.kit.reach import Reach, reach
from queryengine.engines.kit.spill import spill_folder
from queryengine.results.spool.locations import folder_of
from queryengine.workers import landlock, seccomp
from queryengine.workers.landlock import READ, STORE, Access

_SYSTEM: Final = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/lib64",
    "/usr/share/zoneinfo",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/ld.so.cache",
    "/dev/urandom",
    "/dev/random",
    # How many processors and how much memory there are.
    "/proc/self/cgroup",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
)
_VARIABLES: Final = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"})
_PREFIXES: Final = ("LC_", "PYTHON", "MALLOC_", "ARROW_", "COV_CORE_", "COVERAGE_")
_NO_LANDLOCK: Final = "landlock is not in this kernel"
_NO_SECCOMP: Final = "seccomp is not known for this machine"
_OURS: Final = "QUERYENGINE_"
"""Settings, those of every engine among them."""


def environment(
    variables: Mapping[str, str], *, confined: bool, withheld: Collection[str] = frozenset()
) -> dict[str, str]:
    """The variables that a worker is started with: a confined one keeps what Python needs, any other all but settings
    of the service, and those that are withheld, by name, as they hold secrets that others are configured with.
    """
    kept = {name: value for name, value in variables.items() if name not in withheld}
    if confined:
        return {name: value for name, value in kept.items() if name in _VARIABLES or name.startswith(_PREFIXES)}
    return {name: value for name, value in kept.items() if not name.upper().startswith(_OURS)}


def lacking() -> list[str]:
    """What this machine has not got of what confines a worker. Gives nothing up."""
    found = [] if landlock.version() else [_NO_LANDLOCK]
    return found if seccomp.is_known() else [*found, _NO_SECCOMP]


class Confinement:
    """What this process has given up. Files first, before there is a second thread; calls once the engine is open."""

    def __init__(self, reach: Reach | None, *, store: str = "", read: str = "") -> None:
        """Give up all files but those of `reach`, or none without one. In `store` files are made but none is read; in
        `read` they are only read.
        """
        self._is_wanted = reach is not None
        self.holds: list[str] = []
        """What holds and what does not, for people."""
        self._granted: dict[str, tuple[int, int] | None] = {}
        if reach is not None:
            self._granted = {path: _identity(path) for path in (*reach.read, *reach.write)}
            self.holds.append(_files_given_up(list(_grants(reach, store, read))))

    @classmethod
    def of_engine(cls, header: Mapping[str, Any]) -> "Confinement":
        """That of a worker of the engine in a role's header. Makes its folder for spilling."""
        if not header["confine"]:
            return cls(None)
        found = reach(header["engine_type"], header["options"])
        if found is not None and found.spill:
            # What is wrong with it, the engine says.
            with suppress(OSError):
                found = replace(found, write=(*found.write, spill_folder(found.spill)))
        return cls(found, store=folder_of(header["spool"]))

    @property
    def is_outdated(self) -> bool:
        """Whether another file or folder has come in the place of a granted one: only a new process can read it."""
        return any(_identity(path) != former for path, former in self._granted.items())

    def give_up_calls(self) -> None:
        """Give up sockets, other programs and the like, in all threads. Never raises."""
        if self._is_wanted:
            self.holds.append(_calls_given_up())


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - It is asked before every query.
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _files_given_up(grants: Iterable[tuple[str, Access]]) -> str:
    abi = landlock.version()
    if not abi:
        return _NO_LANDLOCK
    if (threads := landlock.threads()) > 1:
        return f"landlock not applied, as {threads} threads run already"
    try:
        landlock.restrict(grants)
    except OSError as cause:
        return f"landlock not applied: {cause}"
    return f"landlock (ABI {abi})"


def _calls_given_up() -> str:
    if not seccomp.is_known():
        return _NO_SECCOMP
    try:
        seccomp.restrict()
    except OSError as cause:
        return f"seccomp not applied: {cause}"
    return "seccomp"


def _grants(reach: Reach, store: str, read: str) -> Iterator[tuple[str, Access]]:
    for path in (*_SYSTEM, *_python(), *reach.read, read):
        if path:
            yield path, READ
    for path in reach.write:
        yield path, READ | STORE
    if store:
        yield store, STORE
    yield "/dev/null", READ | Access.WRITE_FILE


def _python() -> Iterator[str]:
    """Where modules are imported from later on. Not a checkout that the process happens to stand in."""
    package = Path(queryengine.__file__).parent
    yield str(package)
    yield from sysconfig.get_paths().values()
    for entry in sys.path:
        if os.path.isabs(entry) and Path(entry) != Path.cwd() and not (Path(entry) / "queryengine").is_dir():  # noqa: PTH117
            yield entry
