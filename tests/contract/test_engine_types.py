"""Each type of each engine, with its edge values, against the data files in types/."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from cases import CLICKHOUSE, DUCKDB, GENERIC, POSTGRESQL, SPARK, SQLITE, TRINO
from type_files import DOCUMENT, ENGINES, as_text, records, with_tables

from queryengine.domain.query import WideIntegers
from queryengine.engines.base import Statement
from tests.carrying import table_of

CASES = {case.name: case for case in (CLICKHOUSE, DUCKDB, GENERIC, POSTGRESQL, SPARK, SQLITE, TRINO)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("types")
    with sqlite3.connect(directory / "data.db") as connection:
        connection.execute(
            "CREATE TABLE t (i INTEGER, r REAL, s TEXT, b BLOB, d DECIMAL(10,2), o BOOLEAN, day DATE, v VARCHAR(20))"
        )
        connection.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (-(2**63), 0.1, "é ☃ 😀", b"\x00\xff", 1, 1, "2024-02-29", "x"),
                (2**63 - 1, 2.0, "", b"", 1.25, 0, "", None),
                (None,) * 8,
            ],
        )
    connection.close()
    return directory


def test_every_data_file_has_an_engine() -> None:
    assert set(ENGINES) == set(CASES)


@pytest.mark.parametrize(
    ("name", "record"),
    [(name, record) for name in ENGINES for record in records(name)],
    ids=lambda value: value if isinstance(value, str) else value["query"][:60],
)
def test_type(folder: Path, name: str, record: dict[str, Any]) -> None:
    statement = Statement(sql=record["query"], query_id="q", session_settings=record.get("settings", {}))
    how = WideIntegers(record.get("wide_integers", "fail"))
    engine = CASES[name].open(folder)
    try:
        with engine.open(statement) as execution:
            table = table_of(execution, how)
    finally:
        engine.close()
    table.validate(full=True)
    assert str(table.schema.field(0).type) == record["arrow"]
    assert table.schema.field(0).metadata[b"engine_type"].decode() == record["type"]
    assert [as_text(value) for value in table.column(0)] == record["values"]


def test_the_document_shows_these_types() -> None:
    document = DOCUMENT.read_text()
    assert document == with_tables(document), "run: python tests/contract/type_files.py"
