"""What a DuckDB engine over a folder says has changed, to whoever has it look again."""

import shutil
import threading
from pathlib import Path

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.refreshed import CHANGES_MAX, Refreshed, ViewChange, merged
from queryengine.domain.views import ViewChangeKind
from queryengine.engines.base import Statement
from queryengine.engines.duckdb import views
from queryengine.engines.duckdb.engine import DuckDBEngine
from tests.unit.lake import failure, parquet, run

ADDED, CHANGED, REMOVED, UNREADABLE = ViewChangeKind
pytestmark = pytest.mark.usefixtures("still")


def changes(engine: DuckDBEngine) -> dict[str, ViewChangeKind]:
    return {change.view: change.kind for change in engine.refresh().changes}


def test_what_has_changed_since_the_last_look_is_reported(lake: Path, open_lake) -> None:
    for name in ("stays", "grows", "goes", "breaks"):
        (lake / f"{name}.csv").write_text("v\n1\n")
    (lake / "mends.csv").write_bytes(b"")
    parquet(lake / "tree" / "a.parquet", v=[1])
    engine = open_lake()

    first = engine.refresh()
    assert first.views == 5
    assert first.changes == (ViewChange("mends", UNREADABLE, "mends.csv is empty (0 bytes)"),)

    (lake / "new.csv").write_text("v\n1\n")
    (lake / "grows.csv").write_text("v\n1\n2\n")
    (lake / "goes.csv").unlink()
    (lake / "breaks.csv").write_bytes(b"")
    (lake / "mends.csv").write_text("v\n1\n")
    parquet(lake / "tree" / "b.parquet", v=[2])
    expected = {"new": ADDED, "mends": ADDED, "grows": CHANGED, "tree": CHANGED, "goes": REMOVED, "breaks": UNREADABLE}
    assert changes(engine) == expected
    # What cannot be read is said each time, all else once.
    assert changes(engine) == {"breaks": UNREADABLE}
    assert run(engine, "SELECT sum(v) AS s FROM tree") == [{"s": 3}]


def test_what_a_query_saw_before_is_reported_all_the_same(lake: Path, open_lake) -> None:
    engine = open_lake()
    (lake / "new.csv").write_text("v\n1\n")
    assert run(engine, "FROM new") == [{"v": 1}]
    assert changes(engine) == {"new": ADDED}


def test_an_engine_without_a_folder_says_so() -> None:
    engine = DuckDBEngine("memory", {})
    try:
        with pytest.raises(QueryEngineError, match="reads no folder") as caught:
            engine.refresh()
    finally:
        engine.close()
    assert caught.value.failure.reason is Reason.UNSUPPORTED


def test_a_query_that_runs_does_not_notice(lake: Path, open_lake) -> None:
    for number in range(3):
        parquet(lake / "t" / f"{number}.parquet", v=list(range(200_000)))
    engine = open_lake()
    with engine.open(Statement(sql="SELECT v FROM t", query_id="q")) as execution:
        execution.start()
        batches = execution.batches()
        rows = next(batches).num_rows
        parquet(lake / "t" / "3.parquet", v=[1])
        (lake / "new.csv").write_text("v\n1\n")
        (lake / "bad.csv").write_bytes(b"")
        found: list[dict[str, ViewChangeKind]] = []
        other = threading.Thread(target=lambda: found.append(changes(engine)))
        other.start()
        other.join()
        assert found == [{"new": ADDED, "t": CHANGED, "bad": UNREADABLE}]
        rows += sum(batch.num_rows for batch in batches)
    assert rows == 600_000
    assert run(engine, "SELECT count(*) AS n FROM t") == [{"n": 600_001}]


def test_a_folder_that_is_replaced_under_a_query_waits_for_the_next_one(lake: Path, open_lake) -> None:
    for number in range(3):
        parquet(lake / "t" / f"{number}.parquet", v=[0] * 200_000)
    engine = open_lake()
    with engine.open(Statement(sql="SELECT v FROM t", query_id="q")) as execution:
        execution.start()
        batches = execution.batches()
        first = next(batches)
        lake.rename(lake.with_name("former"))
        for number in range(3):
            parquet(lake / "t" / f"{number}.parquet", v=[1] * 200_000)
        with pytest.raises(QueryEngineError, match="was replaced while a query reads it"):
            engine.refresh()
        # All of its rows are of the former folder.
        assert {value for batch in (first, *batches) for value in batch.column(0).to_pylist()} == {0}
    assert run(engine, "SELECT sum(v) AS s FROM t") == [{"s": 600_000}]
    assert changes(engine) == {"t": CHANGED}


def test_a_folder_that_is_gone_is_said(lake: Path, open_lake) -> None:
    engine = open_lake()
    shutil.rmtree(lake)
    with pytest.raises(QueryEngineError, match="folder of engine 'lake' cannot be read") as caught:
        engine.refresh()
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE


def test_queries_look_at_the_folder_no_more_often_than_once_in_a_while(
    lake: Path, open_lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lake / "t.csv").write_text("v\n1\n")
    engine = open_lake()
    looks = []
    real = views.sources
    monkeypatch.setattr(views, "sources", lambda *given: looks.append(1) or real(*given))
    for _ in range(50):
        assert run(engine, "FROM t") == [{"v": 1}]
    assert not looks
    # What is not found is looked for once, before anybody hears of it.
    failure(engine, "FROM missing")
    assert len(looks) == 1


def test_a_long_list_of_changes_is_cut_and_the_rest_is_counted() -> None:
    many = [ViewChange(f"v{number:05}", ADDED) for number in range(CHANGES_MAX + 5)]
    bad = ViewChange("z", UNREADABLE, "x" * 10_000)
    found = Refreshed.of(7, [*many, bad])
    assert (len(found.changes), found.left_out) == (CHANGES_MAX, 6)
    assert found.changes[0].view == "z"
    assert len(found.changes[0].reason.encode()) <= 4096
    assert Refreshed.from_json(found.to_json()) == found
    other = Refreshed.of(8, [ViewChange("only", REMOVED)])
    both = merged([other, found])
    assert (both.views, len(both.changes), both.left_out) == (8, CHANGES_MAX, 7)
