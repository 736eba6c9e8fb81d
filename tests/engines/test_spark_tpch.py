"""The 22 queries of TPC-H come out of the adapter exactly as out of Spark's own client, directly and staged."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from queryengine.engines.base import Statement
from queryengine.engines.spark.engine import SparkEngine
from tests.servers.server import shared
from tests.servers.spark import SparkServer

CLIENT_SECONDS = 300.0
"""Within which Spark's own client answers all queries: half a minute, and ten times that on a busy machine."""
QUERIES = sorted((Path(__file__).parents[1] / "data" / "tpch").glob("q*.sql"))

# In a process of its own, as Spark's client keeps threads and warns.
OWN_CLIENT = """
import sys
from pathlib import Path
import pyarrow as pa
from pyspark.sql.connect.session import SparkSession

url, tables, queries, answers = sys.argv[1], *map(Path, sys.argv[2:])
spark = SparkSession.builder.remote(url).getOrCreate()
spark.sql("CREATE DATABASE IF NOT EXISTS tpch")
for path in tables.glob("*.parquet"):
    spark.sql(f"DROP TABLE IF EXISTS tpch.{path.stem}")
    spark.sql(f"CREATE TABLE tpch.{path.stem} USING parquet LOCATION '{path}'")
spark.sql("USE tpch")
for path in sorted(queries.glob("q*.sql")):
    table = spark.sql(path.read_text()).toArrow()
    with pa.ipc.new_file(answers / f"{path.stem}.arrow", table.schema) as writer:
        writer.write_table(table)
spark.stop()
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """What Spark's own client answers, over tables of scale 0.01."""
    tables, answers = tmp_path_factory.mktemp("tpch"), tmp_path_factory.mktemp("answers")
    tool = Path(sys.executable).with_name("tpchgen-cli")
    subprocess.run([tool, "parquet", "-s", "0.01", f"--output-dir={tables}"], check=True, capture_output=True)
    url = shared(SparkServer).options()["url"]
    script = answers / "own_client.py"
    script.write_text(OWN_CLIENT)
    arguments = ["-I", "-W", "ignore", str(script), url, str(tables), str(QUERIES[0].parent), str(answers)]
    subprocess.run([sys.executable, *arguments], check=True, timeout=CLIENT_SECONDS)
    return {path.stem: pa.ipc.open_file(path.read_bytes()).read_all() for path in answers.glob("*.arrow")}


@pytest.mark.timeout(2 * CLIENT_SECONDS)
@pytest.mark.parametrize("staged", [False, True])
def test_every_query_equals_the_answer_of_sparks_own_client(
    answers: dict[str, pa.Table], tmp_path: Path, staged: bool
) -> None:
    assert len(answers) == len(QUERIES) == 22
    options = shared(SparkServer).options()
    engine = SparkEngine("mine", {**options, "staging": str(tmp_path)} if staged else options)
    differing = []
    try:
        for path in QUERIES:
            with engine.open(Statement(sql=path.read_text(), query_id=path.stem, schema="tpch")) as execution:
                schema = execution.start()
                table = pa.Table.from_batches(execution.batches(), schema)
            expected = answers[path.stem]
            if not table.cast(expected.schema).combine_chunks().equals(expected.combine_chunks()):
                differing.append(path.stem)
    finally:
        engine.close()
    assert differing == []
    assert list(tmp_path.iterdir()) == []
