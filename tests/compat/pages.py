"""A page of every type of every engine, as a result has them, and the values that a consumer must read in it."""

import contextlib
import sqlite3
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from queryengine.domain.submission import WideIntegers
from queryengine.engines.base import Statement
from tests.carrying import table_of

CONTRACT = Path(__file__).parents[1] / "contract"
SQLITE_TABLE = "CREATE TABLE t (i INTEGER, r REAL, s TEXT, b BLOB, d DECIMAL(10,2), o BOOLEAN, day DATE, v VARCHAR(20))"
SQLITE_ROWS = (
    (-(2**63), 0.1, "é ☃ 😀", b"\x00\xff", 1, 1, "2024-02-29", "x"),
    (2**63 - 1, 2.0, "", b"", 1.25, 0, "", None),
    (None,) * 8,
)


ENGINES = ("clickhouse", "duckdb", "generic", "postgresql", "spark", "sqlite", "trino")


@dataclass(frozen=True, slots=True)
class Sample:
    """One column of one type, as it is carried."""

    engine: str
    type: str
    column: pa.ChunkedArray

    @property
    def table(self) -> pa.Table:
        return pa.table({"v": self.column})

    def write(self, path: Path) -> None:
        """As a page: a self-contained stream of a schema and one batch."""
        table = self.table.combine_chunks()
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            for batch in table.to_batches():
                writer.write_batch(batch)


def sqlite_data(directory: Path) -> None:
    with contextlib.closing(sqlite3.connect(directory / "data.db")) as connection, connection:
        connection.execute(SQLITE_TABLE)
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", SQLITE_ROWS)


def samples(directory: Path, names: Collection[str]) -> Iterator[Sample]:
    """The types of the engines of these names, from the data files of the contract suite."""
    if str(CONTRACT) not in sys.path:
        sys.path.insert(0, str(CONTRACT))
    from cases import CASES
    from type_files import records

    sqlite_data(directory)
    for case in CASES:
        if case.name not in names:
            continue
        engine = case.open(directory)
        try:
            for record in records(case.name):
                yield _sample(case.name, engine, record)
        finally:
            engine.close()


def _sample(name: str, engine: Any, record: Mapping[str, Any]) -> Sample:
    statement = Statement(sql=record["query"], query_id="q", session_settings=record.get("settings", {}))
    with engine.open(statement) as execution:
        table = table_of(execution, WideIntegers(record.get("wide_integers", "fail")))
    return Sample(name, record["type"], table.column(0))
