"""Row and column policies on a ClickHouse server: what it says of the tables that they name."""

from collections.abc import Iterator

import pytest

from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.engines.clickhouse.engine import ClickHouseEngine
from tests.servers.clickhouse import ClickHouseServer
from tests.servers.server import shared


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
