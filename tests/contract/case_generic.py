"""Any database of SQLAlchemy: the generic dialect, by a driver of PostgreSQL that has no dialect of ours."""

from dataclasses import replace
from decimal import Decimal

from case_postgresql import POSTGRESQL

from queryengine.domain.errors import Reason
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.server import shared

GENERIC = replace(
    POSTGRESQL,
    name="generic",
    options=lambda _: shared(PostgreSQLServer).other_options(),
    fails_late=POSTGRESQL.fails_late.replace("00000", "0000"),
    rejected_position=None,
    check_parses=True,
    # To sqlglot ATTACH is no word of PostgreSQL at all.
    refused=tuple(
        (sql, Reason.SYNTAX_ERROR if sql.startswith("ATTACH") else reason)
        for sql, reason in POSTGRESQL.refused
        if "$" not in sql
    ),
    positional=None,
    values=(None, True, 0, -(2**63), 2**63 - 1, 1.5, Decimal("1.50"), b"", b"\x00\xff"),
    unusable=lambda _: {"url": "postgresql+psycopg2://nobody@127.0.0.1:1/none"},
)
