"""What every adapter has from the one base of executions, with a fault in each of its steps, over real engines."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cases import CASES, SCRIPTED
from engine_case import EngineCase

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.base import Engine, Statement
from queryengine.engines.kit.guarded import GuardedExecution

WAIT_SECONDS = 30.0
GUARDED = [case for case in CASES if case is not SCRIPTED]


class ForeignError(Exception):
    """What no driver raises and no adapter knows."""


@pytest.fixture(params=GUARDED, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> EngineCase:
    return request.param


@pytest.fixture
def engine(case: EngineCase, tmp_path: Path) -> Iterator[Engine]:
    engine = case.open(tmp_path)
    yield engine
    engine.close()


def opened(engine: Engine, sql: str) -> GuardedExecution:
    execution = engine.open(Statement(sql=sql, query_id="q"))
    assert isinstance(execution, GuardedExecution)
    return execution


def begun(engine: Engine, case: EngineCase) -> GuardedExecution:
    """An execution that stands between two batches of many."""
    execution = opened(engine, case.endless_rows)
    execution.start()
    next(execution.batches())
    return execution


def failure_of(action: Callable[[], object]) -> QueryEngineError:
    with pytest.raises(QueryEngineError) as caught:
        action()
    return caught.value


def fail(cause: Exception | None = None) -> Any:
    raise cause or ForeignError("broken")


def works(engine: Engine, case: EngineCase) -> bool:
    with opened(engine, case.numbers(3)) as execution:
        execution.start()
        return sum(batch.num_rows for batch in execution.batches()) == 3


def runs_nothing(case: EngineCase) -> bool:
    """By the engine's own list, where it has one."""
    pause = threading.Event()
    for _ in range(int(WAIT_SECONDS / 0.02)):
        if case.running is None or not case.running():
            return True
        pause.wait(0.02)
    return False


def noted(step: Callable[[], None], number: int, done: list[int], *, breaks: bool) -> Callable[[], None]:
    """The step, noted in `done`, and with a failure behind it."""

    def run() -> None:
        step()
        done.append(number)
        if breaks:
            fail()

    return run


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_whatever_fails_on_release_the_rest_is_released(case: EngineCase, engine: Engine, end: str) -> None:
    number, steps = 0, 1
    while number < steps:
        execution = begun(engine, case)
        done: list[int] = []
        steps = len(execution._held)
        execution._held = [
            noted(step, index, done, breaks=index == number) for index, step in enumerate(execution._held)
        ]
        failure = failure_of(getattr(execution, end))
        assert isinstance(failure.__cause__, ForeignError)
        assert done == list(reversed(range(steps))), "the last taken is released first"
        assert not execution.cancel_confirmed
        # Another end of the same execution does nothing.
        execution.cancel()
        execution.close()
        execution.close()
        assert len(done) == steps
        assert execution not in execution._executions
        number += 1
    assert runs_nothing(case)
    assert works(engine, case)


def test_several_failures_on_release_are_the_first_one_and_lines_in_the_log(
    case: EngineCase, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    execution = begun(engine, case)
    execution._hold(fail, ForeignError("the second"))
    execution._hold(fail, ForeignError("the first"))
    failure = failure_of(execution.close)
    assert str(failure.__cause__) == "the first"
    assert [
        str(record.exc_info[1]) for record in caplog.records if record.levelno == logging.WARNING and record.exc_info
    ] == ["the second"]
    assert runs_nothing(case)


def test_a_failed_close_does_not_hide_why_an_execution_was_left(case: EngineCase, engine: Engine) -> None:
    def leave() -> None:
        with opened(engine, case.numbers(1)) as execution:
            execution.start()
            execution._hold(fail)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        leave()
    assert runs_nothing(case)


def test_closing_the_engine_releases_what_fails_to_close(
    case: EngineCase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = case.open(tmp_path)
    broken, whole = begun(engine, case), begun(engine, case)
    broken._hold(fail)
    engine.close()
    assert (broken._held, whole._held) == ([], [])
    assert "could not be released with its engine" in caplog.text
    assert runs_nothing(case)


def test_no_columns_are_refused_the_same_everywhere(case: EngineCase, engine: Engine) -> None:
    refusals = []
    for sql in case.no_columns:
        with opened(engine, sql) as execution:
            refusals.append(failure_of(execution.start).failure)
    with opened(engine, case.numbers(1)) as execution:
        begin = execution._begin
        execution._begin = lambda: pa.schema(list(begin())[:0])
        refusals.append(failure_of(execution.start).failure)
    for refusal in refusals:
        assert (refusal.reason, refusal.message) == (Reason.STATEMENT_REJECTED, "the statement returns no columns")
    assert runs_nothing(case)


@pytest.mark.parametrize(
    ("cause", "reason"), [(ForeignError("broken"), Reason.ENGINE_ERROR), (MemoryError(), Reason.OUT_OF_MEMORY)]
)
def test_a_foreign_exception_is_a_failure_with_its_cause(
    case: EngineCase, engine: Engine, cause: Exception, reason: Reason
) -> None:
    with opened(engine, case.numbers(1)) as execution:
        begin = execution._begin
        execution._begin = lambda: begin() and fail(cause)
        in_start = failure_of(execution.start)
    with opened(engine, case.numbers(1)) as execution:
        made = execution._batches

        def break_off() -> Iterator[pa.RecordBatch]:
            yield from made()
            fail(cause)

        execution._batches = break_off
        execution.start()
        in_batches = failure_of(lambda: list(execution.batches()))
    execution = begun(engine, case)
    execution._hold(fail, cause)
    in_cancel = failure_of(execution.cancel)
    for failure in (in_start, in_batches, in_cancel):
        assert failure.failure.reason is reason
        assert failure.__cause__ is cause
    execution.close()
    assert works(engine, case)


def test_progress_that_cannot_be_read_stays_as_it_was(
    case: EngineCase, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with begun(engine, case) as execution:
        before = execution.progress()
        execution._snapshot = fail
        assert [execution.progress() for _ in range(3)] == [before] * 3
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "the progress of a query cannot be read any more"
    ]


def test_an_interrupt_that_fails_is_repeated(case: EngineCase, engine: Engine) -> None:
    execution = opened(engine, case.endless_start)
    interrupt = execution._interrupt
    tries = []

    def fail_at_first() -> None:
        tries.append(1)
        if len(tries) < 3:
            fail()
        interrupt()

    execution._calls._interrupt = fail_at_first
    began = threading.Event()
    begin = execution._begin
    execution._begin = lambda: (began.set(), begin())[1]
    failures: list[QueryEngineError] = []
    thread = threading.Thread(target=lambda: failures.append(failure_of(execution.start)))
    thread.start()
    assert began.wait(WAIT_SECONDS)
    execution.cancel()
    thread.join(WAIT_SECONDS)
    assert [each.failure.reason for each in failures] == [Reason.QUERY_CANCELLED]
    execution.close()
    assert runs_nothing(case)
