"""A client that reads whole results, every batch decoded, and prints how long it took and what it cost.

    python -m bench.drain queryengine ADDRESS
    python -m bench.drain flight ADDRESS
    python -m bench.drain duckdb FILE

Each line on its standard input is JSON: {"sql": ...} or {"query_id": ...}; each answer is a line of JSON.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.flight as fl

from queryengine.client import Client


class OverQueryengine:
    def __init__(self, address: str) -> None:
        self._client = Client(address)
        self.query_id = ""

    def batches(self, sql: str, query_id: str) -> Iterator[pa.RecordBatch]:
        # As a service would that expects many rows: hand in, then read the stream.
        handle = self._client.attach(query_id) if query_id else self._client.submit(sql)
        result = handle.result()
        self.query_id = result.query_id
        yield from result


class OverFlight:
    def __init__(self, address: str) -> None:
        self._client = fl.FlightClient(f"grpc://{address}")
        self.query_id = ""

    def batches(self, sql: str, _: str) -> Iterator[pa.RecordBatch]:
        for chunk in self._client.do_get(fl.Ticket(sql.encode())):
            yield chunk.data


class InProcess:
    """DuckDB itself, in this process."""

    def __init__(self, path: str) -> None:
        self._database = duckdb.connect(path, read_only=True)
        self.query_id = ""

    def batches(self, sql: str, _: str) -> Iterator[pa.RecordBatch]:
        yield from self._database.sql(sql).to_arrow_reader()


KINDS: Final = {"queryengine": OverQueryengine, "flight": OverFlight, "duckdb": InProcess}


def main() -> None:
    kind, address = sys.argv[1:]
    client = KINDS[kind](address)
    for line in sys.stdin:
        question = json.loads(line)
        rows = total_bytes = 0
        first = None
        begin = time.perf_counter()
        for batch in client.batches(question.get("sql", ""), question.get("query_id", "")):
            first = first if first is not None else time.perf_counter() - begin
            rows += batch.num_rows
            total_bytes += batch.nbytes
        seconds = time.perf_counter() - begin
        answer = {
            "rows": rows,
            "bytes": total_bytes,
            "seconds": seconds,
            "first_seconds": first,
            "query_id": client.query_id,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
