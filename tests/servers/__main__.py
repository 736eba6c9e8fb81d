"""`python -m tests.servers [name …]`: fetch what the engine tests need, all of it or the named servers."""

import sys
from collections.abc import Sequence

from tests.servers.clickhouse import ClickHouseServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.server import Server
from tests.servers.spark import SparkServer
from tests.servers.trino import SpoolingTrinoServer, TrinoServer

SERVERS: Sequence[type[Server]] = (ClickHouseServer, PostgreSQLServer, SparkServer, SpoolingTrinoServer, TrinoServer)


def main(names: Sequence[str]) -> int:
    unknown = set(names) - {server.name for server in SERVERS}
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(server.name for server in SERVERS)}")
        return 2
    failed = 0
    for server in (server() for server in SERVERS if not names or server.name in names):
        try:
            server.fetch()
            why = server.missing()
        except Exception as cause:
            why = f"{type(cause).__name__}: {cause}"
        failed += bool(why)
        print(f"{server.name:<12}{why or 'ready'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
