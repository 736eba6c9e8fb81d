"""The same service through the client of the Python package: python with_package.py [host:port]."""

import sys

from queryengine.client import Client

with Client(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8815") as client:
    # Batches as they come. A broken stream is resumed, checksums and totals are checked.
    total = sum(batch.num_rows for batch in client.query("SELECT range AS n FROM range(1000000)"))
    print(f"{total} rows")

    print(client.query("SELECT $who AS hello", {"who": "world"}).to_pylist())
