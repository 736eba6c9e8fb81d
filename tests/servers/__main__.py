"""`python -m tests.servers [name …]`: fetch what the engine tests need, all of it or the named servers."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

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
    wanted = [server for server in SERVERS if not names or server.name in names]
    failed = 0
    with ThreadPoolExecutor(len(wanted)) as pool:
        # All at once: each waits for its registry most of the time.
        for server, why in zip(wanted, pool.map(fetched, wanted), strict=True):
            failed += bool(why)
            print(f"{server.name:<16}{why or 'ready'}", flush=True)
    return 1 if failed else 0


def fetched(server_class: type[Server]) -> str:
    """Why a server cannot be started after an attempt to fetch it; empty when it can."""
    server = server_class()
    try:
        server.fetch()
        return server.missing()
    except Exception as cause:
        return f"{type(cause).__name__}: {cause}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
