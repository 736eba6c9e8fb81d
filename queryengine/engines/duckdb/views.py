"""The views over a folder: one for each source, kept as files come, change and go.

A source that cannot be read has no view, and a query that names it gets the reason. The other views do not notice.
"""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Final

import duckdb

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.refreshed import Refreshed, ViewChange
from queryengine.domain.views import ViewChangeKind
from queryengine.engines.duckdb.columns import Columns, conflict, is_mixed
from queryengine.engines.duckdb.errors import ErrorFacts, facts_of
from queryengine.engines.duckdb.file_errors import explained, missing_table, named_file
from queryengine.engines.duckdb.file_names import TablePath, UnreadableStatementError, file_names
from queryengine.engines.duckdb.folder import File, Source, shown, sources
from queryengine.engines.duckdb.readers import Readers, misread
from queryengine.engines.duckdb.text import file_pattern, identifier, key_of, literal
from queryengine.engines.kit import alike

REFRESH_SECONDS: Final = 1.0
"""How long a change may stay unseen by a query that finds all it asks for."""
REFRESH_SHARE: Final = 0.01
"""How much of the time looking at a large folder may take."""

_HOME: Final = ("memory", "main")
"""The catalog and the schema of the views."""
REMEMBERED_MAX: Final = 64
"""Texts whose names of files are known; services repeat their statements."""
_SCHEMAS: Final = "SELECT file_name, name, duckdb_type, num_children FROM parquet_schema(?)"


class FolderViews:
    """Thread-safe. The process works inside the folder from the first `attach` to `close`, so that neither SQL text nor
    messages hold the folder's own path, which may be private or have characters that mean something to DuckDB.
    """

    def __init__(self, engine: str, folder: str, readers: Readers) -> None:
        self._engine = engine
        self._readers = readers
        self.root: Final = Path(os.path.realpath(folder))
        """The folder itself: no part of this path is a link."""
        self._former_directory: Path | None = None
        self._lock = threading.Lock()
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._file_names = lru_cache(REMEMBERED_MAX)(self._find_file_names)
        self._tables: frozenset[TablePath] = frozenset()
        """What the instance has without the folder."""
        self._sources: dict[str, Source] = {}
        self._problems: dict[str, str] = {}
        """Why a source cannot be read, by the key of its view."""
        self._columns: dict[File, Columns] = {}
        self._due_seconds = 0.0
        self._reported: dict[str, tuple[Source, str]] = {}
        """Each source and its problem, as whoever asked for changes last knows them."""

    def attach(self, instance: duckdb.DuckDBPyConnection) -> None:
        """Make the views in an instance, and keep those of this one from now on. Raises OSError when the folder cannot
        be read.
        """
        with self._lock:
            if self._former_directory is None:
                self._former_directory = Path.cwd()
            self._close_cursor()
            self._cursor = instance.cursor()
            self._cursor.execute("SET SESSION errors_as_json = true")
            self._tables = _tables(self._cursor)
            self._sources = {}
            self._look()
            # An instance that takes the place of another one is no change of the folder.
            self._reported = self._reported or self._state()

    def refresh(self, *, now: bool = False) -> bool:
        """Follow the folder, when the last look at it is old enough or at once. Whether anything has changed.

        Raises ENGINE_UNAVAILABLE when the folder cannot be read.
        """
        if not now and time.monotonic() < self._due_seconds:
            return False
        with self._lock:
            try:
                return self._look()
            except OSError as cause:
                raise self._no_folder(cause) from cause

    def changes(self, *, is_in_use: bool) -> Refreshed:
        """Follow the folder at once; what has changed since the last call, or since `attach`.

        Raises ENGINE_UNAVAILABLE when the folder cannot be read, and when another one has taken its place while views
        are in use, which read what is left of their files from the former one. Then the next `refresh` looks.
        """
        with self._lock:
            try:
                if is_in_use and not os.path.samestat(self.root.stat(), Path().stat()):
                    self._due_seconds = 0.0
                    message = f"the folder of engine {self._engine!r} was replaced while a query reads it"
                    raise error(Reason.ENGINE_UNAVAILABLE, message, engine=self._engine)
                self._look()
            except OSError as cause:
                raise self._no_folder(cause) from cause
            former, self._reported = self._reported, self._state()
            return _refreshed(former, self._reported)

    def _state(self) -> dict[str, tuple[Source, str]]:
        return {key: (source, self._problems.get(key, "")) for key, source in self._sources.items()}

    def _no_folder(self, cause: OSError) -> QueryEngineError:
        message = f"the folder of engine {self._engine!r} cannot be read: {cause.strerror}"
        return error(Reason.ENGINE_UNAVAILABLE, message, engine=self._engine)

    def check_names(self, sql: str) -> None:
        """Refuse a statement that names a file in place of a view. Raises STATEMENT_NOT_ALLOWED, and STATEMENT_REJECTED
        with the reason for a view that cannot be read.
        """
        try:
            names = self._file_names(sql)
        except UnreadableStatementError as cause:
            why = "a PIVOT without an IN list must hold no such name, not even in a text; add an IN list"
            raise _no_way(f"{cause} could be a file, which is read through its view only: {why}") from cause
        for path in names:
            if self._has(path) or (self.refresh(now=True) and self._has(path)):
                continue
            raise self._problem_with(path[-1]) or _no_way(
                f"there is no view {shown('.'.join(path))}; files are read through their views only"
            )

    def _find_file_names(self, sql: str) -> frozenset[TablePath]:
        with self._lock:
            assert self._cursor is not None, "attached"
            return file_names(self._cursor, sql)

    def _has(self, path: TablePath) -> bool:
        """Whether there is a table or view of this name, which comes before a file."""
        *home, name = map(key_of, path)
        views = {(*_HOME, key) for key in self._sources if key not in self._problems}
        return any(table[-1] == name and set(home) <= set(table[:-1]) for table in self._tables | views)

    def explain(self, facts: ErrorFacts) -> QueryEngineError | None:
        """The failure for an error of DuckDB that is about a source of the folder; None when it is about something
        else.
        """
        if (name := missing_table(facts)) is not None:
            return self._problem_with(name)
        path = named_file(facts)
        if path is None:
            return None
        for source in self._sources.values():
            if any(path in {file.path, file_pattern(file.path).removeprefix("./")} for file in source.files):
                return _unreadable(source, explained(facts, path))
        return None

    def _problem_with(self, view: str) -> QueryEngineError | None:
        source, problem = self._sources.get(key_of(view)), self._problems.get(key_of(view))
        return _unreadable(source, problem) if source is not None and problem is not None else None

    def close(self) -> None:
        """Let go of the instance and of the folder. Idempotent."""
        with self._lock:
            self._close_cursor()
            if self._former_directory is not None:
                with suppress(OSError):
                    os.chdir(self._former_directory)
                self._former_directory = None

    def _close_cursor(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.close()

    def _look(self) -> bool:
        started = time.monotonic()
        # Again each time: a folder that was replaced by another one of its name is another directory.
        os.chdir(self.root)
        found = sources(self.root, self._readers)
        former = self._sources
        changed = [key for key in former.keys() | found.keys() if former.get(key) != found.get(key)]
        for key in changed:
            self._follow(key, former.get(key), found.get(key))
        # Only now: what a failure has left undone is done by the next look.
        self._sources = found
        if changed:
            present = {file for source in found.values() if source.is_tree for file in source.files}
            self._columns = {file: columns for file, columns in self._columns.items() if file in present}
        ended = time.monotonic()
        self._due_seconds = ended + max(REFRESH_SECONDS, (ended - started) / REFRESH_SHARE)
        return bool(changed)

    def _follow(self, key: str, former: Source | None, source: Source | None) -> None:
        """Make, replace or drop one view."""
        assert self._cursor is not None, "attached"
        had_view = former is not None and key not in self._problems
        self._problems.pop(key, None)
        if had_view and former is not None and (source is None or source.view != former.view or source.problem):
            self._cursor.execute(f"DROP VIEW IF EXISTS {identifier(former.view)}")
            had_view = False
        if source is None:
            return
        problem = self._problem_of(key, source)
        if problem:
            if had_view:
                self._cursor.execute(f"DROP VIEW IF EXISTS {identifier(source.view)}")
            self._problems[key] = problem
            alike.logger.warning("engine %s: view %s cannot be read: %s", self._engine, shown(source.view), problem)

    def _problem_of(self, key: str, source: Source) -> str:
        """Make the view of a source. Why that cannot be done; empty when it is done."""
        assert self._cursor is not None, "attached"
        if source.problem:
            return source.problem
        if any(table[1:] == (_HOME[1], key) for table in self._tables):
            return f"{source.entry} has the name of a table or view of init_sql or of DuckDB itself; rename it"
        try:
            union_by_name = False
            if source.is_tree:
                columns = self._columns_of(source.files)
                if problem := conflict(columns):
                    return problem
                union_by_name = is_mixed(columns)
            elif problem := misread(source.files[0].path, source.reader):
                return f"{source.entry} {problem}"
            self._cursor.execute(_create_view(source, union_by_name=union_by_name))
        except duckdb.Error as cause:
            facts = facts_of(cause)
            return explained(facts, named_file(facts) or source.entry)
        except OSError as cause:
            return f"{source.entry}: {cause.strerror}"
        return ""

    def _columns_of(self, files: Sequence[File]) -> dict[str, Columns]:
        """The columns of Parquet files, by path. Raises duckdb.Error, which names the file."""
        assert self._cursor is not None, "attached"
        new = [file for file in files if file not in self._columns]
        if new:
            by_path = {file.path: file for file in new}
            patterns = [file_pattern(file.path) for file in new]
            rows = self._cursor.execute(_SCHEMAS, [patterns]).fetchall()
            for path, elements in groupby(rows, key=lambda row: row[0]):
                self._columns[by_path[path.removeprefix("./")]] = _top_level([element[1:] for element in elements])
        return {file.path: self._columns[file] for file in files}


def _refreshed(former: Mapping[str, tuple[Source, str]], now: Mapping[str, tuple[Source, str]]) -> Refreshed:
    changes = [ViewChange(shown(former[key][0].view), ViewChangeKind.REMOVED) for key in former.keys() - now.keys()]
    for key, (source, problem) in now.items():
        known, its_problem = former.get(key, (None, ""))
        if problem:
            changes.append(ViewChange(shown(source.view), ViewChangeKind.UNREADABLE, problem))
        elif known is None or its_problem:
            changes.append(ViewChange(shown(source.view), ViewChangeKind.ADDED))
        elif known != source:
            changes.append(ViewChange(shown(source.view), ViewChangeKind.CHANGED))
    return Refreshed.of(sum(not problem for _, problem in now.values()), changes)


def _tables(cursor: duckdb.DuckDBPyConnection) -> frozenset[TablePath]:
    # With DuckDB's own views: one of a file called duckdb_tables, say, would break SHOW TABLES.
    rows = cursor.execute(
        "SELECT database_name, schema_name, table_name FROM duckdb_tables() UNION ALL "
        "SELECT database_name, schema_name, view_name FROM duckdb_views()"
    ).fetchall()
    return frozenset(tuple(map(key_of, row)) for row in rows)


def _create_view(source: Source, *, union_by_name: bool) -> str:
    options = dict(source.reader.options)
    folders = {file.path.rpartition(os.sep)[0] for file in source.files}
    options["hive_partitioning"] = str(source.is_tree and any("=" in folder for folder in folders))
    if union_by_name:
        options["union_by_name"] = "true"
    settings = "".join(f", {name} = {value}" for name, value in options.items())
    reader = f"{source.reader.function}({_list(source.files)}{settings})"
    return f"CREATE OR REPLACE VIEW {identifier(source.view)} AS FROM {reader}"


def _list(files: Sequence[File]) -> str:
    return f"[{', '.join(literal(file_pattern(file.path)) for file in files)}]"


def _top_level(elements: Sequence[tuple[str, str | None, int | None]]) -> Columns:
    """The columns among the elements of a Parquet schema, which lists each before what it is made of."""
    columns = []
    position = 1
    while position < len(elements):
        name, type_name, _ = elements[position]
        columns.append((name, type_name or ""))
        inside = 1
        while inside:
            inside += (elements[position][2] or 0) - 1
            position += 1
    return tuple(columns)


def _unreadable(source: Source, problem: str) -> QueryEngineError:
    message = f"view {shown(source.view)} cannot be read: {problem}"
    return error(Reason.STATEMENT_REJECTED, message)


def _no_way(message: str) -> QueryEngineError:
    return error(Reason.STATEMENT_NOT_ALLOWED, message)
