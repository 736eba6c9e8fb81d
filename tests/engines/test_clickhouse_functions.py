"""ClickHouse's own functions: each was looked at for whether it reaches beyond its arguments."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from queryengine.engines.clickhouse.engine import ClickHouseEngine
from queryengine.engines.clickhouse.functions import KNOWN
from tests.executing import table
from tests.servers.clickhouse import ClickHouseServer
from tests.servers.server import shared

LOOKED_AT = frozenset(Path(__file__).with_name("clickhouse_functions.txt").read_text().split())
"""Those that reach files, networks, settings, other tables or sessions, that wait, or that serve ClickHouse itself."""


@pytest.fixture(scope="module")
def engine() -> Iterator[ClickHouseEngine]:
    engine = ClickHouseEngine("ch", cast("ClickHouseServer", shared(ClickHouseServer)).options())
    yield engine
    engine.close()


@pytest.mark.parametrize("list_of_them", ["functions", "table_functions"])
def test_every_function_of_the_server_was_looked_at(engine: ClickHouseEngine, list_of_them: str) -> None:
    names = table(engine, f"SELECT DISTINCT lower(name) FROM system.{list_of_them}").column(0).to_pylist()
    assert len(names) > 50
    assert sorted(name for name in names if name not in KNOWN and name not in LOOKED_AT) == []
    assert [name for name in LOOKED_AT if name in KNOWN] == []


def test_every_combinator_of_the_server_is_known(engine: ClickHouseEngine) -> None:
    for name in table(engine, "SELECT lower(name) FROM system.aggregate_function_combinators").column(0).to_pylist():
        assert f"sum{name}" in KNOWN
        assert f"sleep{name}" not in KNOWN
