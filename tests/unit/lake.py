"""A folder of data files, and what tests ask of an engine over it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queryengine.domain.errors import Failure, QueryEngineError
from queryengine.domain.submission import WideIntegers
from queryengine.engines.base import Statement
from queryengine.engines.duckdb.engine import DuckDBEngine
from tests.carrying import table_of


def run(engine: DuckDBEngine, sql: str) -> list[dict[str, Any]]:
    with engine.open(Statement(sql=sql, query_id="q")) as execution:
        return table_of(execution, WideIntegers.DECIMAL256).to_pylist()


def failure(engine: DuckDBEngine, sql: str) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        run(engine, sql)
    return caught.value.failure


def tables(engine: DuckDBEngine) -> list[str]:
    return [row["name"] for row in run(engine, "SHOW TABLES")]


def parquet(path: Path, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
