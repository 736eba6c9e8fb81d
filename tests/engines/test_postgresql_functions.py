"""PostgreSQL's own functions: each was looked at for whether it reaches beyond its arguments."""

from pathlib import Path

from postgresql_support import shared_server

from queryengine.engines.kit.calls import computing

KNOWN = computing("queryengine.engines.kit.postgresql")
LOOKED_AT = frozenset(Path(__file__).with_name("postgresql_functions.txt").read_text().split())
"""Those of PostgreSQL 15 that reach files, networks, settings, the catalog or other sessions, that wait, or that serve
PostgreSQL itself."""
VARYING = frozenset(
    {"bernoulli", "clock_timestamp", "gen_random_uuid", "random", "random_normal", "system", "timeofday"}
)
"""Volatile ones that differ from call to call, and that is all."""


def test_every_function_of_the_server_was_looked_at() -> None:
    with shared_server().connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT lower(proname), provolatile = 'v' FROM pg_proc "
            "WHERE pronamespace = 'pg_catalog'::regnamespace"
        ).fetchall()
        [[version]] = connection.execute("SELECT current_setting('server_version_num')::int / 10000").fetchall()
    names = {name for name, _ in rows}
    assert len(names) > 2000
    assert not KNOWN & LOOKED_AT
    # The list of what was looked at is that of one version; what another one adds is refused.
    assert version != 15 or sorted(names - KNOWN - LOOKED_AT) == []
    volatile = {name for name, is_volatile in rows if is_volatile}
    assert volatile & KNOWN <= VARYING
