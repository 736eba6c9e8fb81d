"""Each type of each engine, with its edge values: against the data files in types/, and read by Python libraries."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cases import CLICKHOUSE, DUCKDB, GENERIC, POSTGRESQL, SPARK, SQLITE, TRINO
from type_files import DOCUMENT, ENGINES, as_text, records, with_tables

from queryengine.domain.submission import WideIntegers
from queryengine.engines.base import Statement
from tests.carrying import table_of
from tests.compat.pages import Sample, sqlite_data
from tests.compat.python import CONSUMERS, verdict

UNREAD = (
    ("polars", "month_day_nano_interval"),
    ("pandas", "time64[ns]"),
    ("polars", "decimal256"),
    ("duckdb", "decimal256"),
    # It rounds to microseconds.
    ("duckdb", "duration[ns]"),
)
"""Which Python library does not read which type; docs/engines.md says so."""
FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31."""
CASES = {case.name: case for case in (CLICKHOUSE, DUCKDB, GENERIC, POSTGRESQL, SPARK, SQLITE, TRINO)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("types")
    sqlite_data(directory)
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
    sample = Sample(name, record["type"], table.column(0))
    unread = {consumer for consumer in CONSUMERS if verdict(consumer, sample)}
    expected = {consumer for consumer, word in UNREAD if word in record["arrow"]}
    assert unread == (expected | {"pandas"} if is_beyond_pandas(table.column(0)) else expected)


def is_beyond_pandas(column: pa.ChunkedArray) -> bool:
    """Whether it is a date that Python has not, or a whole number that pandas rounds, as it does beside a NULL."""
    if pa.types.is_date(column.type):
        days = column.cast(pa.int32()).to_pylist()
        return any(each is not None and not FIRST_DAY <= each <= LAST_DAY for each in days)
    if not pa.types.is_integer(column.type) or not column.null_count:
        return False
    return any(each is not None and int(float(each)) != each for each in column.to_pylist())


def test_the_document_shows_these_types() -> None:
    document = DOCUMENT.read_text()
    assert document == with_tables(document), "run: python tests/contract/type_files.py"
