"""Each command of a script."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from queryengine_scripted import ScriptedEngine

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Position, QueryEngineError, Reason
from queryengine.engines.base import Progress, Statement


@pytest.fixture
def engine() -> Iterator[ScriptedEngine]:
    engine = ScriptedEngine("scripted", {})
    yield engine
    engine.close()


def statement(sql: str, *parameters: BoundParameter) -> Statement:
    return Statement(sql=sql, query_id="q", parameters=parameters)


def rows(engine: ScriptedEngine, sql: str) -> list[dict[str, object]]:
    with engine.open(statement(sql)) as execution:
        execution.start()
        return [row for batch in execution.batches() for row in batch.to_pylist()]


def test_content_depends_on_the_row_alone(engine: ScriptedEngine) -> None:
    script = "columns i:int64, d:double, s:string, b:binary, o:bool; rows 1; rows 1 size 8"
    assert rows(engine, script) == [
        {"i": 0, "d": 0.0, "s": "row-0", "b": b"row-0", "o": False},
        {"i": 1, "d": 0.5, "s": "row-1...", "b": b"row-1...", "o": True},
    ]


def test_a_single_row_may_be_huge(engine: ScriptedEngine) -> None:
    assert len(rows(engine, "columns s:string; rows 1 size 20000000")[0]["s"]) == 20_000_000


def test_what_stands_before_start_runs_in_start(engine: ScriptedEngine) -> None:
    with engine.open(statement("progress 0.5; start; rows 1; progress 0.25; scanned 7 70")) as execution:
        assert execution.progress() == Progress()
        execution.start()
        assert execution.progress() == Progress(0.5)
        assert sum(batch.num_rows for batch in execution.batches()) == 1
        assert execution.progress() == Progress(1.0, 7, 70)


def test_rows_before_start_are_refused(engine: ScriptedEngine) -> None:
    with engine.open(statement("rows 1; start; rows 1")) as execution:
        with pytest.raises(QueryEngineError) as caught:
            execution.start()
        assert caught.value.failure.position == Position(1, 1)


def test_a_gate_opens_when_its_file_exists(engine: ScriptedEngine, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with engine.open(statement(f"rows 1; gate {gate}; rows 1")) as execution:
        execution.start()
        batches = execution.batches()
        next(batches)
        threading.Timer(0.05, gate.touch).start()
        before = time.monotonic()
        assert next(batches).num_rows == 1
        assert time.monotonic() - before > 0.03


def test_a_cancel_that_is_ignored_stops_nothing(engine: ScriptedEngine, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    execution = engine.open(statement(f"ignore_cancel; rows 1; gate {gate}; rows 1"))
    execution.start()
    batches = execution.batches()
    next(batches)
    read: list[int] = []
    reader = threading.Thread(target=lambda: read.extend(batch.num_rows for batch in batches))
    reader.start()
    canceller = threading.Thread(target=execution.cancel)
    canceller.start()
    reader.join(0.2)
    assert reader.is_alive()
    gate.touch()
    reader.join(10)
    canceller.join(10)
    assert read == [1]
    execution.close()


def test_memory_is_held_until_the_end(engine: ScriptedEngine) -> None:
    with engine.open(statement("memory 50000000; start; rows 1")) as execution:
        execution.start()
        assert sum(map(len, execution._memory)) == 50_000_000
    assert execution._memory == []


def test_a_crash_ends_the_process() -> None:
    code = (
        "from queryengine_scripted import ScriptedEngine\n"
        "from queryengine.engines.base import Statement\n"
        "e = ScriptedEngine('x', {}).open(Statement(sql='rows 1; crash 7', query_id='q'))\n"
        "e.start(); print(sum(b.num_rows for b in e.batches()))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (7, b"")


def test_failures_have_the_reason_and_the_words(engine: ScriptedEngine) -> None:
    with pytest.raises(QueryEngineError) as caught:
        rows(engine, "rows 1; fail ENGINE_UNAVAILABLE the disk is gone")
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE
    assert caught.value.failure.message == "the disk is gone"


def test_places_of_mistakes() -> None:
    for script, line, column in (("rows 1;\n  nope 1", 2, 3), ("rows 1; rows x", 1, 9), ("columns a:b; rows 1", 1, 1)):
        with pytest.raises(QueryEngineError) as caught:
            ScriptedEngine.check(script, {})
        assert caught.value.failure.position == Position(line, column)


def test_options_choose_where_it_computes() -> None:
    assert ScriptedEngine.traits({}).embedded
    assert not ScriptedEngine.traits({"embedded": False}).embedded
