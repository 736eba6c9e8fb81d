"""Row and column policies on a ClickHouse server: what it says of the tables that they name, and row policies of its
own, which are given who asks.
"""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import pytest

from queryengine.domain.analysis import Name
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.engines.clickhouse.engine import ClickHouseEngine
from tests.executing import table
from tests.servers.clickhouse import ClickHouseServer
from tests.servers.server import shared, stop_shared


@pytest.fixture(scope="module")
def server() -> ClickHouseServer:
    found = shared(ClickHouseServer)
    assert isinstance(found, ClickHouseServer)
    return found


@pytest.fixture(scope="module")
def engine(server: ClickHouseServer) -> Iterator[ClickHouseEngine]:
    engine = ClickHouseEngine("ch", server.options())
    yield engine
    engine.close()


def test_the_catalog_says_what_tables_have(server: ClickHouseServer, engine: ClickHouseEngine) -> None:
    server.command("CREATE DATABASE live")
    server.command(
        "CREATE TABLE live.orders (id Int64, tenant String, few LowCardinality(Nullable(String)), "
        "fixed FixedString(4), gone UUID) ENGINE = MergeTree ORDER BY id"
    )
    server.command("CREATE VIEW live.seen AS SELECT id, tenant FROM live.orders")
    columns = ("id", "tenant", "few", "fixed", "TENANT")
    found = engine.live_tables([AskedTable(("live", name), columns) for name in ("orders", "seen", "Orders")])
    types = {
        "id": "Int64",
        "tenant": "String",
        "few": "LowCardinality(Nullable(String))",
        "fixed": "FixedString(4)",
    }
    assert found == [
        LiveTable(types, frozenset({"id", "fixed"})),
        LiveTable({"id": "Int64", "tenant": "String"}, frozenset({"id"})),
        None,
    ]


TENANT, SUBJECT = "promql_database", "promql_table"
"""Settings that may hold any text: the library takes no settings with a prefix of one's own, as servers do."""
OWN: tuple[Name, ...] = (("default", "own"),)
HOSTILE = (
    f"SELECT id FROM own SETTINGS {TENANT} = 'globex'",
    f"SELECT id FROM (SELECT * FROM own SETTINGS {TENANT} = 'globex')",
    f"WITH x AS (SELECT * FROM own SETTINGS {TENANT} = 'globex') SELECT id FROM x",
    f"SET {TENANT} = 'globex'",
    f"SELECT 1; SET {TENANT} = 'globex'; SELECT id FROM own",
    "DROP ROW POLICY default_own ON default.own",
    f"SELECT id FROM view(SELECT * FROM own SETTINGS {TENANT} = 'globex')",
)


class PolicedClickHouseServer(ClickHouseServer):
    name = "clickhouse-policed"
    row_policies = MappingProxyType(
        {"own": f"tenant = getSetting('{TENANT}') AND subject = getSetting('{SUBJECT}')", "theirs": "0"}
    )


@pytest.fixture(scope="module")
def policed() -> Iterator[ClickHouseEngine]:
    server = shared(PolicedClickHouseServer)
    assert isinstance(server, PolicedClickHouseServer)
    server.command("CREATE TABLE own (id Int32, tenant String, subject String) ENGINE = MergeTree ORDER BY id")
    server.command("CREATE TABLE free (id Int32) ENGINE = MergeTree ORDER BY id")
    server.command("INSERT INTO own VALUES (1, 'acme', 'ann'), (2, 'acme', 'bob'), (3, 'globex', 'ann')")
    names = {"tenant": TENANT, "subject": SUBJECT}
    engine = ClickHouseEngine("ch", {**server.options(), "identity_settings": names})
    yield engine
    engine.close()
    stop_shared(PolicedClickHouseServer)


def rows(engine: ClickHouseEngine, sql: str = "SELECT id FROM own", **who: Any) -> list[int]:
    found = table(engine, sql, **{"tenant": "acme", "subject": "ann", "enforced": OWN, **who})
    return sorted(found.column(0).to_pylist())


def failure(engine: ClickHouseEngine, sql: str = "SELECT id FROM own", **who: Any) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        rows(engine, sql, **who)
    return caught.value.failure


@pytest.mark.parametrize(
    ("tenant", "subject", "seen"),
    [("acme", "ann", [1]), ("acme", "bob", [2]), ("globex", "ann", [3]), ("globex", "", []), ("a\\'; --", "ann", [])],
)
def test_the_server_shows_each_caller_its_own_rows(
    policed: ClickHouseEngine, tenant: str, subject: str, seen: list[int]
) -> None:
    assert rows(policed, tenant=tenant, subject=subject) == seen
    assert rows(policed, tenant=tenant, subject=subject, enforced=()) == seen
    assert rows(policed, enforced=None) == []


@pytest.mark.parametrize("sql", HOSTILE)
def test_no_statement_can_say_who_asks(policed: ClickHouseEngine, sql: str) -> None:
    reasons = {Reason.STATEMENT_NOT_ALLOWED, Reason.NOT_ONE_STATEMENT, Reason.STATEMENT_REJECTED}
    assert failure(policed, sql).reason in reasons
    assert failure(policed, session_settings={TENANT: "globex"}).reason is Reason.UNSUPPORTED
    assert rows(policed) == [1]


@pytest.mark.parametrize("path", [("default", "free"), ("default", "nowhere"), ("system", "one")])
def test_nothing_is_read_where_there_is_no_row_policy(policed: ClickHouseEngine, path: Name) -> None:
    found = failure(policed, enforced=(*OWN, path))
    assert (found.reason, found.metadata) == (Reason.RELATION_NOT_ALLOWED, {"relation": ".".join(path)})


def test_the_catalog_says_which_tables_are_filtered(policed: ClickHouseEngine) -> None:
    asked = [AskedTable(("default", name), ("id",), enforced=True) for name in ("own", "free")]
    own, free = policed.live_tables(asked)
    assert own is not None
    assert free is not None
    assert (own.is_filtered, free.is_filtered) == (True, False)


def test_a_server_that_takes_no_such_settings_is_not_read(engine: ClickHouseEngine) -> None:
    # Nor one whose user may not list row policies.
    found = failure(engine, "SELECT 1 AS id")
    assert found.reason is Reason.RELATION_NOT_ALLOWED
    assert "default.own" in found.message


@pytest.mark.parametrize("names", [{"tenant": "a"}, {"tenant": "a", "subject": "a"}, {"tenant": "a", "subject": "b'"}])
def test_settings_that_say_who_asks_are_named_in_full(names: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="'identity_settings' must name two settings"):
        ClickHouseEngine.traits({"url": "http://localhost", "identity_settings": names})
