"""What a folder offers: its files and folders as named sources, and why one of them cannot be read.

Only looks at names and links, never into a file. Paths in a source are relative to the folder and lead to no link, so
that nothing outside the folder can be reached through them.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Final

from queryengine.engines.duckdb.readers import PARQUET, Reader, Readers
from queryengine.engines.duckdb.table_formats import refusal, table_format
from queryengine.engines.duckdb.text import key_of


@dataclass(frozen=True, slots=True)
class File:
    """One file as it was when it was looked at; equal as long as nobody has changed or replaced it."""

    path: str
    size: int
    modified_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Source:
    """What one view reads."""

    view: str
    entry: str
    """The name of the file or folder, for people."""
    reader: Reader
    files: tuple[File, ...] = ()
    is_tree: bool = False
    problem: str = ""
    """Why it cannot be read; empty when nothing is known against it."""


_AWKWARD: Final = "DuckDB cannot read a path that has a backslash, or ~ or file: at its start, beside any of / = * ? ["


class _UnreadableError(Exception):
    """Why a source cannot be read."""


def shown(name: str) -> str:
    """The name for people: what would disturb a line of text is escaped."""
    return name if name.isprintable() else repr(name)


def sources(folder: Path, readers: Readers) -> dict[str, Source]:
    """Each source of the folder by the key of its view. Raises OSError when the folder cannot be read."""
    root = os.path.realpath(folder, strict=True).rstrip(os.sep) + os.sep
    found: dict[str, Source] = {}
    entries = _entries(root)
    foreign = _table_format(root, root, entries)
    for entry in _visible(entries):
        source = _source(root, entry, readers)
        if source is None:
            continue
        if foreign and source.reader is PARQUET:
            source = replace(source, files=(), problem=foreign)
        key = key_of(source.view)
        if (other := found.get(key)) is not None:
            names = f"{other.entry} and {source.entry}"
            problem = f"{names} would both be the view {shown(other.view)}; rename one of them"
            source = replace(other, entry=names, files=(), problem=problem)
        found[key] = source
    return found


def listed_files(folder: str) -> list[str]:
    """The names of the files in a folder that can be data. Raises OSError when it cannot be read."""
    return [entry.name for entry in _visible(_entries(folder)) if not _is_folder(entry)]


def _entries(folder: str) -> "list[os.DirEntry[str]]":
    with os.scandir(folder) as entries:
        return list(entries)


def _visible(entries: "list[os.DirEntry[str]]") -> "list[os.DirEntry[str]]":
    """What can be data, by name."""
    return sorted((entry for entry in entries if not _is_hidden(entry)), key=lambda entry: entry.name)


def _table_format(root: str, folder: str, entries: "list[os.DirEntry[str]]") -> str:
    """Why the Parquet files of a folder are no table by themselves; empty when they are."""
    what = table_format(folder, {entry.name for entry in entries})
    return refusal(shown(_relative(root, folder)) or "the folder", what) if what else ""


def _is_hidden(entry: "os.DirEntry[str]") -> bool:
    """Whether Spark and Hive skip it: unfinished output, logs of table formats, files that a desktop leaves."""
    return entry.name.startswith(".") or (entry.name.startswith("_") and not ("=" in entry.name and _is_folder(entry)))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads in a circle.
        return False


def _source(root: str, entry: "os.DirEntry[str]", readers: Readers) -> Source | None:
    """The source that an entry of the folder is; None when it is not data."""
    if _is_folder(entry):
        source = Source(entry.name, shown(entry.name), PARQUET, is_tree=True)
    elif (known := readers.of(entry.name)) is not None:
        source = Source(known[0], shown(entry.name), known[1])
    else:
        return None
    try:
        files = tuple(_tree(root, entry)) if source.is_tree else (_file(root, entry),)
    except _UnreadableError as cause:
        return replace(source, problem=str(cause))
    except OSError as cause:
        return replace(source, problem=f"{source.entry}: {cause.strerror}")
    if source.is_tree:
        return replace(source, files=files) if files else None
    if not files[0].size:
        return replace(source, problem=f"{source.entry} is empty (0 bytes)")
    return replace(source, files=files)


def _tree(root: str, top: "os.DirEntry[str]") -> Iterator[File]:
    """Every Parquet file below a folder, always in the same order."""
    waiting = [_real(root, top)]
    while waiting:
        folder = waiting.pop()
        entries = _entries(folder)
        if foreign := _table_format(root, folder, entries):
            raise _UnreadableError(foreign)
        for entry in _visible(entries):
            if not _is_folder(entry):
                if entry.name.lower().endswith(".parquet"):
                    yield _file(root, entry)
            elif entry.is_symlink():
                raise _UnreadableError(
                    f"{shown(_relative(root, entry.path))} is a link to a folder, which is not followed"
                )
            else:
                waiting.append(entry.path)


def _file(root: str, entry: "os.DirEntry[str]") -> File:
    real = _real(root, entry)
    relative = _relative(root, real)
    status = entry.stat()
    if not stat.S_ISREG(status.st_mode):
        raise _UnreadableError(f"{shown(relative)} is not a regular file")
    _check_name(relative)
    return File(relative, status.st_size, status.st_mtime_ns, status.st_ino)


def _real(root: str, entry: "os.DirEntry[str]") -> str:
    """The path of an entry with links followed. Raises _UnreadableError when they leave folder or partition."""
    if not entry.is_symlink():
        return entry.path
    real = os.path.realpath(entry.path, strict=True)
    link = shown(_relative(root, entry.path))
    if not real.startswith(root):
        raise _UnreadableError(f"{link} is a link to a place outside the folder, which is not followed")
    is_folder = _is_folder(entry)
    own = _partition(_relative(root, entry.path), is_folder=is_folder)
    if _partition(_relative(root, real), is_folder=is_folder) != own:
        raise _UnreadableError(f"{link} is a link into another partition, which is not followed")
    return real


def _relative(root: str, path: str) -> str:
    return path.removeprefix(root)


def _partition(relative: str, *, is_folder: bool) -> list[str]:
    """The folders of a path that make columns."""
    path = PurePath(relative)
    return [part for part in (path.parts if is_folder else path.parent.parts) if "=" in part]


def _check_name(relative: str) -> None:
    """Refuse the few names that no spelling makes DuckDB read as they are."""
    if not relative.isascii():
        try:
            relative.encode()
        except UnicodeEncodeError as cause:
            raise _UnreadableError(f"{shown(relative)} is not a name in UTF-8") from cause
    has_backslash = "\\" in relative
    if any(special in relative for special in "*?["):
        # Of a pattern DuckDB takes the start for that of an address, and a backslash for a slash.
        is_awkward = has_backslash or relative.startswith(("~", "file:"))
    else:
        folders = PurePath(relative).parent.parts
        is_awkward = relative.startswith(("~/", "~\\")) or (
            has_backslash and any("\\" in folder and "=" in folder for folder in folders)
        )
    if is_awkward:
        raise _UnreadableError(f"{shown(relative)}: {_AWKWARD}")
