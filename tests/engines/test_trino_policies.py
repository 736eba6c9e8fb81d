"""Row and column policies on a Trino cluster: what it says of the tables that they name."""

from trino_support import failure_of, opened, server

from queryengine.domain.errors import Reason
from queryengine.domain.live_table import AskedTable, LiveTable

COLUMNS = ("name", "CLERK", "orderkey", "gone")


def test_the_catalog_says_what_tables_have() -> None:
    paths = (("tiny", "orders"), ("tpch", "sf1", "Orders"), ("tiny", "other"), ("memory", "default", "orders"))
    orders = LiveTable({"CLERK": "varchar(15)", "orderkey": "bigint"}, frozenset({"orderkey"}))
    with opened(server().options()) as engine:
        found = engine.live_tables([AskedTable(path, COLUMNS) for path in paths])
        assert found == [orders, orders, None, None]
        wrong = AskedTable(("no_catalog", "a", "b"), COLUMNS)
        assert "no_catalog" in failure_of(lambda: engine.live_tables([wrong])).message


def test_what_the_service_sees_is_not_what_its_callers_see() -> None:
    with opened({**server().options(), "impersonate": True}) as engine:
        failure = failure_of(lambda: engine.live_tables([AskedTable(("tiny", "orders"), COLUMNS)]))
    assert failure.reason is Reason.UNSUPPORTED
