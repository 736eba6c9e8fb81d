"""What one would write by hand instead: a pyarrow.flight server over DuckDB. It keeps nothing and forgets everything.

python -m bench.flight_server DATABASE_FILE BATCH_ROWS
"""

import sys
from typing import Any

import duckdb
import pyarrow.flight as fl


class Server(fl.FlightServerBase):  # type: ignore[misc]
    def __init__(self, database: str, batch_rows: int) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._batch_rows = batch_rows
        config = {"threads": 2, "memory_limit": "1GB"}
        self._database = duckdb.connect(database, read_only=True, config=config)

    def do_get(self, _: Any, ticket: fl.Ticket) -> fl.RecordBatchStream:
        relation = self._database.cursor().sql(ticket.ticket.decode())
        return fl.RecordBatchStream(relation.to_arrow_reader(self._batch_rows))


if __name__ == "__main__":
    server = Server(sys.argv[1], int(sys.argv[2]))
    print(f"port {server.port}", flush=True)
    server.serve()
