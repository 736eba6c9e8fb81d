"""What an engine that computes inside its worker needs of the file system, from its options alone.

Read before an adapter is imported: a driver starts threads, and what a process gives up must be given up before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

_SQLITE: Final = ("sqlite:///", "sqlite+pysqlite:///")
_WAL_HEADER: Final = b"\x02\x02"
"""Write and read version of a database file, at byte 18, when it keeps a write-ahead log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Absolute paths of files and folders; a folder means all below it."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    """Read, too."""
    spill: str = ""
    """Where the worker makes a folder for itself; empty when it spills nothing."""


def reach(engine_type: str, options: Mapping[str, Any]) -> Reach | None:
    """None for an engine that is elsewhere. What is wrong with options, the adapter says."""
    if engine_type == "duckdb":
        return _of_duckdb(options)
    if engine_type == "sqlalchemy" and (file := sqlite_file(options.get("url", ""))) is not None:
        return _of_sqlite(file)
    return None


def sqlite_file(url: object) -> Path | None:
    """The database of an URL of SQLite; None for other URLs, and for a database in memory."""
    text = str(url)
    if not text.startswith(_SQLITE):
        return None
    name = unquote(text.split(":///", 1)[1].partition("?")[0])
    return Path(name).absolute() if name and not name.startswith((":memory:", "file:")) else None


def _of_duckdb(options: Mapping[str, Any]) -> Reach:
    path = _place(options, "path")
    read = [each for each in (path, f"{path}.wal" if path else "", _place(options, "directory")) if each]
    if options.get("init_sql"):
        paths = options.get("init_paths", ())
        read += [str(each) for each in paths] if isinstance(paths, list | tuple) else []
        # Where its extensions are installed.
        read.append(str(Path.home() / ".duckdb"))
    return Reach(read=tuple(read), spill=_place(options, "temp_directory"))


def _place(options: Mapping[str, Any], key: str) -> str:
    """As the adapter takes it; empty for none."""
    place = str(options.get(key) or "")
    return str(Path(place).expanduser().absolute()) if place else ""


def _of_sqlite(path: Path) -> Reach:
    """The folder, as another file may be put in the place of the database. SQLite itself keeps two files beside one
    that has a write-ahead log, and makes them anew after the last writer has gone.
    """
    folder = str(path.parent)
    try:
        with path.open("rb") as file:
            has_log = file.read(20)[18:] == _WAL_HEADER
    except OSError:
        has_log = False
    return Reach(write=(folder,)) if has_log else Reach(read=(folder,))
