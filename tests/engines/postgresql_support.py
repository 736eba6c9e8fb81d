"""The shared PostgreSQL, and statements that do not end by themselves."""

from typing import cast

from tests.servers.postgresql import PostgreSQLServer
from tests.servers.server import shared

ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
ENDLESS_ROWS = "SELECT a.n FROM generate_series(1, 1000000) AS a (n), generate_series(1, 1000000) AS b (n)"


def shared_server() -> PostgreSQLServer:
    return cast("PostgreSQLServer", shared(PostgreSQLServer))
