"""What a plan says of the engine's own row policies and of a decision stays with its query, to its worker."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.plan import Plan
from queryengine.engines.base import Statement
from queryengine.engines.duckdb.engine import DuckDBEngine
from queryengine.executing.orders import Orders
from queryengine.results.spool.local import LocalSpool
from queryengine.results.writer import ResultLimits
from queryengine.store.rows import to_query, to_row
from queryengine.workers.orders import RunOrder
from queryengine.workers.protocol import decoded
from queryengine.workers.transfer import Host
from tests.store_values import query


@pytest.mark.parametrize("enforced", [None, (), (("public", "orders"), ("a.b", "c"))])
def test_it_outlives_the_server_and_reaches_the_worker(enforced: tuple[tuple[str, ...], ...] | None) -> None:
    asked = query()
    plan = replace(asked.plan, enforced=enforced, decided_for="ann")
    stored = to_query(to_row(replace(asked, plan=plan)))
    assert (stored.plan.enforced, stored.plan.decided_for) == (enforced, "ann")
    limits = ResultLimits(
        page_bytes=1, page_bytes_max=1, segment_bytes=1, compression=asked.submission.compression,
        row_limit=0, byte_limit=0, on_limit=asked.submission.on_limit, bytes_max=1, record_bytes=1, sync_segments=False,
    )  # fmt: skip
    order = Orders(lambda _: limits, lambda _: (), first_page_flush_seconds=1).order(stored, b"", "key")
    assert RunOrder.decode(decoded(order.encode())).statement().enforced == enforced
    assert Plan().enforced is None


def test_an_engine_that_does_not_filter_runs_nothing_that_rests_on_it(tmp_path: Path) -> None:
    with closing(DuckDBEngine("duck", {})) as engine, ThreadPoolExecutor(1) as threads:
        host = Host(
            engine=engine,
            confirms_cancel=True,
            spool=LocalSpool.made(tmp_path),
            threads=threads,
            send=lambda _: None,
            over=lambda _: None,
            not_enforcing=DuckDBEngine.enforcement_problem({}),
        )
        statement = Statement(sql="SELECT 1", query_id="q")
        host.open(statement).close()
        for enforced in ((), (("main", "t"),)):
            with pytest.raises(QueryEngineError) as refusal:
                host.open(replace(statement, enforced=enforced))
            assert refusal.value.failure.reason is Reason.RELATION_NOT_ALLOWED
