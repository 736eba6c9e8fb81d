"""One statement on an adapter, without a server: its rows, or why there are none."""

from typing import Any

import pyarrow as pa

from queryengine.engines.base import Engine, Statement


def table(engine: Engine, sql: str, **fields: Any) -> pa.Table:
    """All rows of a statement; `fields` are those of Statement."""
    with engine.open(Statement(**{"sql": sql, "query_id": "q", **fields})) as execution:
        schema = execution.start()
        return pa.Table.from_batches(execution.batches(), schema)


def tuples(rows: pa.Table) -> list[tuple[Any, ...]]:
    """The rows by position, as names may repeat."""
    return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
