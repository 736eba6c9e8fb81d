"""The files and folders of this machine that the options of an engine name, from the options alone.

No adapter is imported, so that the server can look before any worker starts. A value of a wrong kind is the adapter's
to refuse; here it names nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from queryengine.engines.base import OptionError
from queryengine.engines.kit.reach import sqlite_file

_POSTGRESQL: Final = ("postgresql://", "postgresql+psycopg://")
_LIBPQ_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_NO_FILE: Final = "system"
"""What libpq takes for sslrootcert beside a path."""


class Kind(StrEnum):
    """What has to be at a place."""

    FILE = "file"
    FOLDER = "folder"
    ANY = "file or folder"


@dataclass(frozen=True, slots=True)
class Place:
    """One place, and the keys in the options that lead to it."""

    keys: tuple[str, ...]
    path: Path
    kind: Kind

    def problem(self) -> str:
        """Why it cannot be used; empty when nothing is known against it. Looks at the name only."""
        try:
            is_there, is_folder = self.path.exists(), self.path.is_dir()
        except OSError as cause:
            return f"{self.path} cannot be looked at: {cause.strerror}"
        if not is_there:
            return f"there is no {self.kind} {self.path}"
        if self.kind is not Kind.ANY and is_folder is not (self.kind is Kind.FOLDER):
            return f"{self.path} is not a {self.kind}"
        return ""


def missing(engine_type: str, options: Mapping[str, Any]) -> list[OptionError]:
    """The places that cannot be used as they are."""
    found = ((place, place.problem()) for place in places(engine_type, options))
    return [OptionError(place.keys, problem) for place, problem in found if problem]


def places(engine_type: str, options: Mapping[str, Any]) -> Iterator[Place]:
    """Each place that has to be there before a query can run."""
    match engine_type:
        case "duckdb":
            yield from _of_duckdb(options)
        case "sqlalchemy":
            yield from _of_url(options)
        case "clickhouse":
            yield from _place(options, "ca_cert", Kind.FILE)
        case "trino":
            yield from _place(options, "verify", Kind.ANY)
        case _:
            return


def _of_duckdb(options: Mapping[str, Any]) -> Iterator[Place]:
    yield from _place(options, "path", Kind.FILE)
    yield from _place(options, "directory", Kind.FOLDER)
    for spill in _place(options, "temp_directory", Kind.FOLDER):
        # A worker makes one that is not there.
        if spill.path.exists():
            yield spill
    if options.get("init_sql") and isinstance(options.get("init_paths"), list | tuple):
        yield from (Place(("init_paths",), Path(each), Kind.ANY) for each in options["init_paths"] if _is_text(each))


def _of_url(options: Mapping[str, Any]) -> Iterator[Place]:
    url, connect_args = options.get("url"), options.get("connect_args")
    if not _is_text(url):
        return
    if (file := sqlite_file(url)) is not None:
        yield Place(("url",), file, Kind.FILE)
    if not str(url).startswith(_POSTGRESQL):
        return
    try:
        query = parse_qs(urlsplit(str(url)).query)
    except ValueError:
        query = {}
    for name in _LIBPQ_FILES:
        for value in query.get(name, ())[-1:]:
            if value != _NO_FILE:
                yield Place(("url",), Path(value).absolute(), Kind.FILE)
        if isinstance(connect_args, Mapping) and connect_args.get(name) != _NO_FILE:
            for place in _place(connect_args, name, Kind.FILE):
                yield Place(("connect_args", name), place.path, Kind.FILE)


def _place(options: Mapping[str, Any], key: str, kind: Kind) -> Iterator[Place]:
    value = options.get(key)
    if not _is_text(value):
        return
    try:
        yield Place((key,), Path(str(value)).expanduser().absolute(), kind)
    except RuntimeError:
        # ~ without a home.
        yield Place((key,), Path(str(value)), kind)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
