"""The 22 queries of TPC-H come out of the engine exactly as out of the driver's own client."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from queryengine.engines.base import Statement
from queryengine.engines.clickhouse.engine import ClickHouseEngine
from tests.servers.clickhouse import ClickHouseServer
from tests.servers.server import shared

QUERIES = sorted((Path(__file__).parents[1] / "data" / "tpch").glob("q*.sql"))
DATABASE = "tpch"


def column_type(arrow: pa.DataType) -> str:
    if pa.types.is_decimal(arrow):
        return f"Decimal({arrow.precision}, {arrow.scale})"
    if pa.types.is_date(arrow):
        return "Date"
    return {pa.int64(): "Int64", pa.int32(): "Int32"}.get(arrow, "String")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> ClickHouseServer:
    """With the eight tables at scale 0.01 in a database of their own."""
    server = shared(ClickHouseServer)
    assert isinstance(server, ClickHouseServer)
    folder = tmp_path_factory.mktemp("tpch")
    tool = Path(sys.executable).with_name("tpchgen-cli")
    subprocess.run([tool, "parquet", "-s", "0.01", f"--output-dir={folder}"], check=True, capture_output=True)
    client = server.client()
    client.command(f"DROP DATABASE IF EXISTS {DATABASE}")
    client.command(f"CREATE DATABASE {DATABASE}")
    for path in sorted(folder.glob("*.parquet")):
        table = pyarrow.parquet.read_table(path)
        # The writer of CSV knows no string_view.
        plain = [field.with_type(pa.string()) if field.type == pa.string_view() else field for field in table.schema]
        table = table.cast(pa.schema(plain))
        columns = ", ".join(f"{field.name} {column_type(field.type)}" for field in table.schema)
        name = f"{DATABASE}.{path.stem}"
        client.command(f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY tuple()")
        sink = pa.BufferOutputStream()
        pyarrow.csv.write_csv(table, sink)
        client.raw_insert(name, insert_block=sink.getvalue().to_pybytes(), fmt="CSVWithNames")
        assert int(client.raw_query(f"SELECT count() FROM {name}", fmt="TSV")) == table.num_rows
    client.close()
    return server


@pytest.fixture(scope="module")
def engine(server: ClickHouseServer) -> Iterator[ClickHouseEngine]:
    engine = ClickHouseEngine("ch", server.options())
    yield engine
    engine.close()


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_query_equals_the_drivers_answer(server: ClickHouseServer, engine: ClickHouseEngine, path: Path) -> None:
    client = server.client()
    client.database = DATABASE
    expected = client.query(path.read_text())
    client.close()
    statement = Statement(sql=path.read_text(), query_id="q", schema=DATABASE)
    with engine.open(statement) as execution:
        schema = execution.start()
        table = pa.Table.from_batches(execution.batches(), schema)
    assert table.column_names == list(expected.column_names)
    assert [field.metadata[b"engine_type"].decode() for field in schema] == [
        each.name for each in expected.column_types
    ]
    assert list(zip(*(column.to_pylist() for column in table.columns), strict=True)) == expected.result_rows


def test_there_are_22() -> None:
    assert len(QUERIES) == 22
