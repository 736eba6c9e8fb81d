"""A DuckDB instance as the options ask for it, locked down before the first query of a user.

Once `open_instance` returns, SQL reads what the options name and nothing else: no files, no network, no
extensions, no variables of this process, and no setting that loosens this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.base import OptionError
from queryengine.engines.duckdb.file_options import FilePattern, parse_patterns
from queryengine.engines.duckdb.folder import listed_files, shown, sources
from queryengine.engines.duckdb.init_statements import run_all
from queryengine.engines.duckdb.readers import Readers
from queryengine.engines.duckdb.text import literal
from queryengine.engines.duckdb.views import FolderViews
from queryengine.engines.kit.places import missing
from queryengine.engines.kit.spill import spill_folder

SESSION_SETTINGS: Final = ("TimeZone", "default_null_order", "default_order")

CONFIGS_AFTER_LOCK: Final = (
    "arrow_lossless_conversion",
    "enable_profiling",
    "enable_progress_bar",
    "enable_progress_bar_print",
    "max_execution_time",
    "progress_bar_time",
    "schema",
    "search_path",
    *SESSION_SETTINGS,
)
"""What stays settable after the lock. The adapter sets these; a user cannot, as only one query that reads
may run.
"""

_TEXTS: Final = ("path", "directory", "memory_limit", "temp_directory")
_PLACES: Final = ("path", "temp_directory")
_PATTERNS: Final = ("csv", "json")
_LISTS: Final = {"init_sql": "SQL statements", "init_paths": "absolute paths", "allow_functions": "names of functions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DuckDBOptions:
    """The options of a configured DuckDB engine. At most one of path and directory; neither means in
    memory.
    """

    path: str = ""
    """A database file, opened read-only."""
    directory: str = ""
    """Absolute path of a folder. Each data file in it is a view named by its stem, and each folder in it a view named
    like the folder over all Parquet files below it, as folder.py has it.
    """
    csv: tuple[FilePattern, ...] = ()
    """How files of delimited text are read, as file_options.py has it; only with directory, as json."""
    json: tuple[FilePattern, ...] = ()
    init_sql: tuple[str, ...] = ()
    """Run at the start of each worker, before the lock-down; not with path, which is read-only."""
    init_paths: tuple[str, ...] = ()
    """Absolute paths of what init_sql reads beside the directory: files, folders, databases that it attaches."""
    allow_functions: tuple[str, ...] = ()
    """Functions that statements may call beside those of functions.py, such as those of an extension that init_sql
    loads.
    """
    memory_limit: str = "1GB"
    threads: int = 2
    temp_directory: str = ""
    """Where large sorts and joins may spill; each worker uses a folder of its own in it. Empty: no
    spilling.
    """

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> "DuckDBOptions":
        """Raises ValueError that names the key of a wrong option."""
        known = cls.__dataclass_fields__
        for key in options:
            if key not in known:
                raise ValueError(f"unknown option {key!r} for a duckdb engine; known: {', '.join(known)}")
        values = dict(options)
        for key, what in _LISTS.items():
            if key in values:
                values[key] = _list_of(what, key, values[key])
        for key in _PATTERNS:
            if key in values:
                values[key] = parse_patterns(key, values[key])
        wrong = [key for key in _TEXTS if not isinstance(values.get(key, ""), str)]
        if wrong:
            raise ValueError(f"option {wrong[0]!r} must be text")
        for key in _PLACES:
            if values.get(key):
                # A worker leaves the directory that it was started in. And an absolute path is a file or folder,
                # whatever prefixes DuckDB knows.
                values[key] = str(Path(values[key]).expanduser().absolute())
        empty = [key for key in ("path", "directory") if values.get(key) == ""]
        if empty:
            # As a variable that was to be set leaves it. An engine without its data would look as if it had none.
            raise OptionError((empty[0],), "is empty; without the key the database is in memory")
        parsed = cls(**values)
        if type(parsed.threads) is not int or parsed.threads < 1:
            raise ValueError(f"option 'threads' must be a whole number from 1, not {parsed.threads!r}")
        if parsed.path and (parsed.directory or parsed.init_sql):
            raise ValueError(
                "option 'path' opens a database read-only: 'directory' and 'init_sql' cannot stand beside it"
            )
        if parsed.directory and not Path(parsed.directory).is_absolute():
            raise ValueError(f"option 'directory' must be an absolute path, not {parsed.directory!r}")
        for key in _PATTERNS:
            if values.get(key) and not parsed.directory:
                raise OptionError((key,), "is for the files of 'directory', which is missing")
        if parsed.init_paths and not parsed.init_sql:
            raise ValueError("option 'init_paths' is for 'init_sql', which is missing")
        if wrong := [path for path in parsed.init_paths if not Path(path).is_absolute()]:
            raise ValueError(f"option 'init_paths' must be a list of absolute paths, not {wrong[0]!r}")
        if parsed.directory and parsed.temp_directory and _overlap(parsed.directory, parsed.temp_directory):
            raise ValueError("options 'directory', which is read, and 'temp_directory' must not lie in one another")
        return parsed

    def readers(self) -> Readers:
        """Of the files in the directory."""
        return Readers((*self.csv, *self.json))


def _list_of(what: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"option {key!r} must be a list of {what}")
    return tuple(value)


def _overlap(one: str, other: str) -> bool:
    """Whether one folder lies in the other, wherever links lead."""
    here, there = Path(one).resolve(), Path(other).resolve()
    return here.is_relative_to(there) or there.is_relative_to(here)


def problems(options: DuckDBOptions) -> list[OptionError]:
    """What in the folder cannot be read, as far as names and links say, when that is all of it; nothing when it is not
    there.
    """
    if not Path(options.directory or "-").is_dir():
        return []
    try:
        unreadable, is_all = _unreadable(options)
    except OSError as cause:
        return [OptionError(("directory",), f"{options.directory} cannot be read: {cause.strerror}")]
    return unreadable if is_all else []


def warnings(options: DuckDBOptions) -> list[OptionError]:
    """Views of the folder that cannot be read, beside some that can; and what `unused_patterns` finds."""
    if not options.directory:
        return []
    try:
        unreadable, is_all = _unreadable(options)
    except OSError:
        return []
    return [*([] if is_all else unreadable), *unused_patterns(options)]


def unused_patterns(options: DuckDBOptions) -> list[OptionError]:
    """Patterns of files that no file has."""
    try:
        names = listed_files(options.directory) if options.csv or options.json else []
    except OSError:
        return []
    return [
        OptionError((pattern.kind, pattern.text), "no file has such a name, or earlier patterns have them all")
        for pattern in options.readers().unused(names)
    ]


def _unreadable(options: DuckDBOptions) -> tuple[list[OptionError], bool]:
    """The views that cannot be read, as far as names and links say, and whether there are no others. Raises OSError."""
    listed = sources(Path(options.directory), options.readers()).values()
    found = [f"view {shown(each.view)} cannot be read: {each.problem}" for each in listed if each.problem]
    return [OptionError(("directory",), each) for each in found], len(found) == len(listed)


def open_instance(name: str, options: DuckDBOptions, views: FolderViews | None) -> duckdb.DuckDBPyConnection:
    """An instance, with the views over its folder. Raises QueryEngineError ENGINE_UNAVAILABLE with the cause."""
    named = {"path": options.path, "directory": options.directory, "temp_directory": options.temp_directory}
    if found := missing("duckdb", named):
        raise _cannot_start(name, "; ".join(map(str, found)))
    instance = None
    try:
        spill = spill_folder(options.temp_directory)
        instance = duckdb.connect(
            options.path or ":memory:", read_only=bool(options.path), config=_config(options, spill)
        )
        run_all(instance, options.init_sql)
        if views is not None:
            views.attach(instance)
        _lock_down(instance, views)
    except (duckdb.Error, OSError, ValueError) as cause:
        if instance is not None:
            instance.close()
        raise _cannot_start(name, cause) from cause
    return instance


def _cannot_start(name: str, cause: object) -> QueryEngineError:
    return error(Reason.ENGINE_UNAVAILABLE, f"DuckDB engine {name!r} cannot start: {cause}", engine=name)


def _config(options: DuckDBOptions, spill: str) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": options.memory_limit,
        "threads": options.threads,
        "temp_directory": spill,
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        # Otherwise SQL can read the variables of this process by name.
        "python_enable_replacements": "false",
    }


def _lock_down(instance: duckdb.DuckDBPyConnection, views: FolderViews | None) -> None:
    if views is not None:
        instance.execute(f"SET allowed_directories = [{literal(str(views.root))}]")
    instance.execute("SET enable_external_access = false")
    # From here on errors have their place in the SQL; those before are for people.
    instance.execute("SET GLOBAL errors_as_json = true")
    instance.execute(f"SET allowed_configs = [{', '.join(map(literal, CONFIGS_AFTER_LOCK))}]")
    instance.execute("SET lock_configuration = true")
