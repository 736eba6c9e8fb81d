"""The 22 queries of TPC-H come out of the service exactly as out of DuckDB in this process, in both formats."""

import subprocess
import sys
from pathlib import Path

import duckdb
import grpc
import pyarrow as pa
import pytest

from queryengine.client import AsyncClient
from queryengine.codec.page import parse_event
from queryengine.codec.rows import decode_rows
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import query_service_pb2_grpc as pb_grpc
from tests.support import ROWS, serving

QUERIES = sorted((Path(__file__).parents[1] / "data" / "tpch").glob("q*.sql"))


@pytest.fixture(scope="session")
def tpch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The eight tables at scale 0.01 as Parquet files."""
    folder = tmp_path_factory.mktemp("tpch")
    tool = Path(sys.executable).with_name("tpchgen-cli")
    subprocess.run([tool, "parquet", "-s", "0.01", f"--output-dir={folder}"], check=True, capture_output=True)
    return folder


def in_process(folder: Path) -> dict[str, pa.Table]:
    """What DuckDB itself answers."""
    with duckdb.connect() as connection:
        for path in folder.glob("*.parquet"):
            connection.execute(f"CREATE VIEW {path.stem} AS FROM '{path}'")
        return {path.stem: connection.sql(path.read_text()).to_arrow_table() for path in QUERIES}


def plain(table: pa.Table) -> pa.Table:
    """Without the names of the engine's types, which only the service gives."""
    return table.combine_chunks().cast(pa.schema([field.remove_metadata() for field in table.schema]))


async def test_every_query_equals_the_answer_in_process(tpch: Path, tmp_path: Path) -> None:
    assert len(QUERIES) == 22
    expected = in_process(tpch)
    engines = {"tpch": {"type": "duckdb", "workers": 2, "options": {"directory": str(tpch)}}}
    differing = []
    async with serving(tmp_path / "state", engines=engines) as service, AsyncClient(service.address) as client:
        for path in QUERIES:
            handle = await client.submit(path.read_text())
            table = await handle.result().to_arrow()
            typed = await typed_rows(service.address, handle.query_id, table.schema)
            if not plain(table).equals(plain(expected[path.stem])):
                differing.append(f"{path.stem} as Arrow")
            if not plain(typed).equals(plain(expected[path.stem])):
                differing.append(f"{path.stem} as typed rows")
    assert differing == []


async def typed_rows(address: str, query_id: str, schema: pa.Schema) -> pa.Table:
    """A result read as PAGE_FORMAT_ROWS, through raw messages."""
    batches = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub = pb_grpc.QueryServiceStub(channel)
        async for message in stub.StreamResults(pb.StreamResultsRequest(query_id=query_id, format=ROWS)):
            if message.WhichOneof("event") == "page":
                view = parse_event(message.SerializeToString())
                assert view is not None
                batches.append(decode_rows(view.payload.to_pybytes(), schema))
    return pa.Table.from_batches(batches, schema=schema)
