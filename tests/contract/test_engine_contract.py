"""Every promise of queryengine/engines/base.py, over every engine in cases.py."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from cases import CASES, SCRIPTED
from engine_case import HOSTILE_TEXTS, EngineCase

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.base import Engine, Execution, Progress, Statement

MIB = 1 << 20
CANCEL_SECONDS = 30.0
"""A cancel or a deadline that takes longer hangs, also on a busy machine; `bench` measures how long they take."""
EXPLAINING = {"duckdb", "postgresql"}
"""Engines that are asked how they run a statement."""
REFUSING = {Reason.SYNTAX_ERROR, Reason.NOT_ONE_STATEMENT, Reason.STATEMENT_NOT_ALLOWED}
IDLE_SHARE = 0.25
"""Share of a processor that an idle process may seem to use on a busy machine."""


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> EngineCase:
    return request.param


@pytest.fixture
def engine(case: EngineCase, tmp_path: Path) -> Iterator[Engine]:
    engine = case.open(tmp_path)
    yield engine
    engine.close()


def statement(sql: str, **fields) -> Statement:
    return Statement(sql=sql, query_id="q", **fields)


def read(engine: Engine, sql: str, **fields) -> pa.Table:
    with engine.open(statement(sql, **fields)) as execution:
        schema = execution.start()
        return pa.Table.from_batches(execution.batches(), schema)


def failure_of(action: Callable[[], object]):
    with pytest.raises(QueryEngineError) as caught:
        action()
    return caught.value.failure


def run_through(engine: Engine, sql: str, **fields) -> Callable[[], object]:
    return lambda: read(engine, sql, **fields)


def stops_computing(within_seconds: float = CANCEL_SECONDS, window_seconds: float = 0.3) -> bool:
    """Whether this process stops computing. What ends by itself may take a moment; an engine that runs on
    never ends.
    """
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        before = time.process_time()
        threading.Event().wait(window_seconds)
        if time.process_time() - before < IDLE_SHARE * window_seconds:
            return True
    return False


def becomes_idle(case: EngineCase, within_seconds: float = CANCEL_SECONDS) -> bool:
    """Whether nothing of ours runs on the engine any more: by its own list, or by what this process computes."""
    if case.running is None:
        return stops_computing(within_seconds)
    deadline = time.monotonic() + within_seconds
    while case.running() and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return not case.running()


class Runner:
    """Runs an execution on a thread of its own and keeps what came out."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.rows = 0
        self.started = threading.Event()
        self.first_batch = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.execution.start()
            self.started.set()
            for batch in self.execution.batches():
                self.rows += batch.num_rows
                self.first_batch.set()
        except Exception as error:
            self.error = error
        finally:
            self.execution.close()

    @property
    def reason(self) -> Reason | None:
        self._thread.join(20)
        assert not self._thread.is_alive(), "the run did not end"
        if self.error is None:
            return None
        assert isinstance(self.error, QueryEngineError), self.error
        return self.error.failure.reason


# ---- rows


@pytest.mark.parametrize("count", [0, 1, 1000, 1001, 5000, 300_000])
def test_every_row_comes_once_and_in_order(case: EngineCase, engine: Engine, count: int) -> None:
    if case is SCRIPTED and count > 5000:
        count = 20_000
    with engine.open(statement(case.numbers(count))) as execution:
        schema = execution.start()
        batches = list(execution.batches())
    assert schema.names == ["n"]
    assert all(batch.num_rows > 0 for batch in batches)
    assert all(batch.schema.equals(schema, check_metadata=True) for batch in batches)
    assert [n for batch in batches for n in batch.column(0).to_pylist()] == list(range(count))


def test_the_schema_names_the_engines_types(case: EngineCase, engine: Engine) -> None:
    with engine.open(statement(case.numbers(1))) as execution:
        schema = execution.start()
    assert schema.field("n").type == pa.int64()
    assert schema.field("n").metadata[b"engine_type"]


def test_no_rows_still_have_columns(case: EngineCase, engine: Engine) -> None:
    table = read(engine, case.numbers(0))
    assert table.num_rows == 0
    assert table.schema.names == ["n"]


def test_column_names_may_repeat_and_be_odd(case: EngineCase, engine: Engine) -> None:
    table = read(engine, case.repeats_names)
    assert table.schema.names == ["a", "a", 'ü "x']


def test_a_batch_is_bounded_when_rows_are_wide(case: EngineCase, engine: Engine) -> None:
    with engine.open(statement(case.wide(150_000, 1_000))) as execution:
        execution.start()
        sizes = [batch.nbytes for batch in execution.batches()]
    assert sum(sizes) >= 150_000 * 1_000
    assert max(sizes) <= 70 * MIB


def highest_memory(engine: Engine, sql: str) -> int:
    """The most memory that this process had while it read a result and kept nothing."""
    process = psutil.Process()
    highest = 0
    with engine.open(statement(sql)) as execution:
        execution.start()
        for _ in execution.batches():
            highest = max(highest, process.memory_info().rss)
    return highest


def test_memory_is_bounded_whatever_the_size(case: EngineCase, engine: Engine) -> None:
    # The allocators of engine and Arrow keep some; what counts is that a larger result needs no more.
    small = highest_memory(engine, case.wide(100_000, 1_000))
    large = highest_memory(engine, case.wide(800_000, 1_000))
    assert large - small < 350 * MIB


def test_a_stalled_consumer_stalls_the_engine(case: EngineCase, engine: Engine) -> None:
    process = psutil.Process()
    with engine.open(statement(case.endless_rows)) as execution:
        execution.start()
        next(execution.batches())
        assert stops_computing()
        before = process.memory_info().rss
        assert stops_computing()
        assert process.memory_info().rss - before < 50 * MIB


def test_one_statement_runs_after_another(case: EngineCase, engine: Engine) -> None:
    for _ in range(20):
        assert read(engine, case.numbers(3)).num_rows == 3


def test_preparing_changes_nothing_and_never_raises(case: EngineCase, tmp_path: Path) -> None:
    engine = case.open(tmp_path)
    for _ in range(3):
        engine.prepare()
        engine.prepare()
        assert read(engine, case.numbers(3)).num_rows == 3
    with engine.open(statement(case.endless_rows)) as execution:
        execution.start()
        engine.prepare()
    engine.close()
    engine.prepare()


# ---- failures


def test_a_syntax_error_has_its_place(case: EngineCase, engine: Engine, tmp_path: Path) -> None:
    actions = [run_through(engine, case.syntax_error)]
    if case.check_parses:
        actions.append(lambda: case.adapter.check(case.syntax_error, case.options(tmp_path)))
    for action in actions:
        failure = failure_of(action)
        assert failure.reason is Reason.SYNTAX_ERROR
        assert failure.position is not None
        assert failure.position.line == 2
    if not case.check_parses:
        # Only the engine knows its grammar.
        case.adapter.check(case.syntax_error, case.options(tmp_path))


def test_a_rejected_statement_is_reported_in_the_engines_words(case: EngineCase, engine: Engine) -> None:
    with engine.open(statement(case.rejected)) as execution:
        failure = failure_of(execution.start)
    assert failure.reason is Reason.STATEMENT_REJECTED
    assert case.rejected_words in failure.message
    assert "{" not in failure.message
    if case.rejected_position is not None:
        assert (failure.position.line, failure.position.column) == case.rejected_position


def test_an_error_keeps_its_cause(case: EngineCase, engine: Engine) -> None:
    if case is SCRIPTED:
        return
    with engine.open(statement(case.rejected)) as execution, pytest.raises(QueryEngineError) as caught:
        execution.start()
    assert caught.value.__cause__ is not None


def test_a_result_that_breaks_raises_and_never_just_stops(case: EngineCase, engine: Engine) -> None:
    rows = 0
    with engine.open(statement(case.fails_late)) as execution:
        execution.start()

        def read_all() -> None:
            nonlocal rows
            for batch in execution.batches():
                rows += batch.num_rows

        failure = failure_of(read_all)
    assert failure.reason is case.late_reason
    assert rows > 0
    assert failure.message


def test_an_engine_goes_on_after_a_failure(case: EngineCase, engine: Engine) -> None:
    failure_of(run_through(engine, case.rejected))
    failure_of(run_through(engine, case.fails_late))
    assert read(engine, case.numbers(5)).num_rows == 5


# ---- check


@pytest.mark.parametrize(
    ("case", "sql", "reason"),
    [(case, sql, reason) for case in CASES for sql, reason in case.refused],
    ids=lambda value: getattr(value, "name", None) if isinstance(value, EngineCase) else str(value)[:50],
)
def test_check_refuses(case: EngineCase, sql: str, reason: Reason, tmp_path: Path) -> None:
    options = case.options(tmp_path)
    failure = failure_of(lambda: case.adapter.check(sql, options))
    assert failure.reason is reason
    engine = case.open(tmp_path)
    try:
        # What check refuses, an execution refuses too.
        assert failure_of(run_through(engine, sql)).reason is reason
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("case", "sql"),
    [(case, sql) for case in CASES for sql in case.accepted],
    ids=lambda value: value.name if isinstance(value, EngineCase) else str(value)[:50],
)
def test_check_accepts(case: EngineCase, sql: str, tmp_path: Path) -> None:
    case.adapter.check(sql, case.options(tmp_path))


def test_an_unknown_option_is_named(case: EngineCase, tmp_path: Path) -> None:
    options = {**case.options(tmp_path), "colour": "red"}
    with pytest.raises(ValueError, match="'colour'"):
        case.adapter.traits(options)
    with pytest.raises(ValueError, match="'colour'"):
        case.adapter("x", options)


# ---- cancel


def test_cancel_before_start(case: EngineCase, engine: Engine) -> None:
    with engine.open(statement(case.numbers(10))) as execution:
        execution.cancel()
        assert failure_of(execution.start).reason is Reason.QUERY_CANCELLED


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.02, 0.3])
def test_cancel_during_start(case: EngineCase, engine: Engine, delay: float) -> None:
    runner = Runner(engine.open(statement(case.endless_start)))
    threading.Event().wait(delay)
    before = time.monotonic()
    runner.execution.cancel()
    assert time.monotonic() - before < CANCEL_SECONDS
    assert runner.reason is Reason.QUERY_CANCELLED
    assert becomes_idle(case)


def test_cancel_during_batches(case: EngineCase, engine: Engine) -> None:
    runner = Runner(engine.open(statement(case.endless_rows)))
    assert runner.first_batch.wait(20)
    before = time.monotonic()
    runner.execution.cancel()
    assert time.monotonic() - before < CANCEL_SECONDS
    assert runner.reason is Reason.QUERY_CANCELLED
    assert becomes_idle(case)


def test_cancel_while_the_consumer_stalls_stops_the_engine_at_once(case: EngineCase, engine: Engine) -> None:
    with engine.open(statement(case.endless_rows)) as execution:
        execution.start()
        batches = execution.batches()
        next(batches)
        execution.cancel()
        assert becomes_idle(case)
        assert failure_of(lambda: next(batches)).reason is Reason.QUERY_CANCELLED


def test_cancel_after_the_end_does_nothing(case: EngineCase, engine: Engine) -> None:
    with engine.open(statement(case.numbers(10))) as execution:
        execution.start()
        rows = sum(batch.num_rows for batch in execution.batches())
        progress = execution.progress()
        execution.cancel()
        execution.cancel()
        assert rows == 10
        assert execution.progress() == progress


def test_cancel_from_several_threads_at_once(case: EngineCase, engine: Engine) -> None:
    runner = Runner(engine.open(statement(case.endless_rows)))
    assert runner.first_batch.wait(20)
    threads = [threading.Thread(target=runner.execution.cancel) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(CANCEL_SECONDS)
        assert not thread.is_alive()
    assert runner.reason is Reason.QUERY_CANCELLED


def test_leaving_early_leaves_nothing_running(case: EngineCase, engine: Engine) -> None:
    with engine.open(statement(case.endless_rows)) as execution:
        execution.start()
        next(execution.batches())
    assert becomes_idle(case)
    assert read(engine, case.numbers(3)).num_rows == 3


def test_two_executions_do_not_disturb_each_other(case: EngineCase, engine: Engine) -> None:
    stays = Runner(engine.open(statement(case.endless_rows)))
    goes = Runner(engine.open(statement(case.endless_rows)))
    assert stays.first_batch.wait(20)
    assert goes.first_batch.wait(20)
    goes.execution.cancel()
    assert goes.reason is Reason.QUERY_CANCELLED
    rows = stays.rows
    deadline = time.monotonic() + 20
    while stays.rows == rows and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert stays.rows > rows
    stays.execution.cancel()
    assert stays.reason is Reason.QUERY_CANCELLED


# ---- close


def test_close_twice_and_before_start(case: EngineCase, engine: Engine) -> None:
    execution = engine.open(statement(case.numbers(3)))
    execution.close()
    execution.close()
    assert failure_of(execution.start).reason is Reason.QUERY_CANCELLED


def test_closing_the_engine_closes_its_executions(case: EngineCase, tmp_path: Path) -> None:
    engine = case.open(tmp_path)
    runner = Runner(engine.open(statement(case.endless_rows)))
    assert runner.first_batch.wait(20)
    engine.close()
    engine.close()
    assert runner.reason is Reason.QUERY_CANCELLED
    assert becomes_idle(case)


def test_open_cannot_fail(case: EngineCase, engine: Engine) -> None:
    engine.open(statement(case.syntax_error, catalog="nope", session_settings={"no": "such"})).close()


def test_executions_leave_no_threads_or_files_open(case: EngineCase, engine: Engine) -> None:
    process = psutil.Process()
    for _ in range(3):
        read(engine, case.numbers(2000))
    files, threads = process.num_fds(), threading.active_count()
    for _ in range(10):
        engine.prepare()
        read(engine, case.numbers(2000))
        failure_of(run_through(engine, case.rejected))
    deadline = time.monotonic() + CANCEL_SECONDS
    while (process.num_fds() > files or threading.active_count() > threads) and time.monotonic() < deadline:
        # A thread or a connection that is being ended may take a moment.
        threading.Event().wait(0.02)
    assert process.num_fds() <= files
    assert threading.active_count() <= threads


# ---- progress, limits, version


def test_progress_never_goes_back_and_never_raises(case: EngineCase, engine: Engine, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with engine.open(statement(case.numbers(300_000 if case is not SCRIPTED else 5_000))) as execution:
        seen.append(execution.progress())
        execution.start()
        for _ in execution.batches():
            seen.append(execution.progress())  # noqa: PERF401 - asked while it runs
        seen.append(execution.progress())
    seen.append(execution.progress())
    fractions = [each.fraction for each in seen if each.fraction is not None]
    assert fractions == sorted(fractions)
    assert all(0.0 <= each <= 1.0 for each in fractions)
    if case.adapter.traits(case.options(tmp_path)).progress:
        assert fractions[-1] == 1.0
    else:
        assert fractions == []


def test_the_engines_own_deadline(case: EngineCase, engine: Engine) -> None:
    if case is SCRIPTED:
        return
    before = time.monotonic()
    failure = failure_of(run_through(engine, case.endless_start, execution_timeout_seconds=0.3))
    assert failure.reason is Reason.QUERY_TIMEOUT
    assert time.monotonic() - before < CANCEL_SECONDS


def test_an_engine_that_reads_no_folder_has_nothing_to_look_at_again(engine: Engine) -> None:
    failure = failure_of(engine.refresh)
    assert (failure.reason, failure.metadata) == (Reason.UNSUPPORTED, {"feature": "refresh"})


def test_the_version_names_product_and_number(engine: Engine) -> None:
    product, _, number = engine.version().partition(" ")
    assert product
    assert number[0].isdigit()


# ---- traits


def test_what_traits_deny_is_refused(
    case: EngineCase, engine: Engine, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    traits = case.adapter.traits(case.options(tmp_path))
    gaps = [word.replace("_", " ") for word, has in asdict(traits).items() if has is False and word != "embedded"]
    record_property("gaps", (case.name, ", ".join(gaps) or "none"))
    denied = [{"session_settings": {"no_such_setting": "1"}}]
    if not traits.catalog:
        denied.append({"catalog": "main"})
    if not traits.schema:
        denied.append({"schema": "main"})
    for fields in denied:
        failure = failure_of(run_through(engine, case.numbers(1), **fields))
        assert failure.reason is Reason.UNSUPPORTED
        assert failure.metadata["feature"].startswith(next(iter(fields)))


# ---- parameters


def values_of(case: EngineCase) -> list[object]:
    return [*case.values, *HOSTILE_TEXTS]


def test_named_parameters_come_back_as_they_are(case: EngineCase, engine: Engine) -> None:
    values = values_of(case)
    names = [f"p{number}" for number in range(len(values))]
    parameters = tuple(BoundParameter(name, value) for name, value in zip(names, values, strict=True))
    table = read(engine, case.named(names), parameters=parameters)
    assert table.column_names == names
    assert [column[0].as_py() for column in table.columns] == values


def test_positional_parameters_come_back_as_they_are(case: EngineCase, engine: Engine, tmp_path: Path) -> None:
    values = values_of(case)
    parameters = tuple(BoundParameter("", value) for value in values)
    assert case.adapter.traits(case.options(tmp_path)).positional_parameters is (case.positional is not None)
    if case.positional is None:
        failure = failure_of(run_through(engine, case.numbers(1), parameters=parameters))
        assert failure.reason is Reason.UNSUPPORTED
        assert failure.metadata == {"feature": "positional_parameters"}
        return
    table = read(engine, case.positional(len(values)), parameters=parameters)
    assert [column[0].as_py() for column in table.columns] == values


def test_parameters_that_do_not_match_are_named(case: EngineCase, engine: Engine) -> None:
    if case is SCRIPTED:
        sql, parameters, wanted = "rows 1", (BoundParameter("c", 1),), {"unexpected": "c"}
    else:
        sql = case.named(["a", "b"])
        parameters = (BoundParameter("b", 1), BoundParameter("c", 1))
        wanted = {"missing": "a", "unexpected": "c"}
    failure = failure_of(run_through(engine, sql, parameters=parameters))
    assert failure.reason is Reason.PARAMETER_MISMATCH
    assert failure.metadata == wanted


def test_a_value_that_the_engine_cannot_hold_is_refused(case: EngineCase, engine: Engine) -> None:
    failure = failure_of(run_through(engine, case.named(["a"]), parameters=(case.refused_value,)))
    assert failure.reason is Reason.PARAMETER_MISMATCH
    assert failure.metadata["parameter"] == "a"


@pytest.mark.parametrize("text", ["9" * 60, "0." + "0" * 50 + "1", "-" + "1" * 40 + "." + "1" * 30])
def test_a_long_decimal_is_exact_or_refused(case: EngineCase, engine: Engine, text: str) -> None:
    value = Decimal(text)
    try:
        came = read(engine, case.named(["a"]), parameters=(BoundParameter("a", value),)).column(0)[0].as_py()
    except QueryEngineError as refusal:
        # As a parameter, or as a column of the result.
        refused_as = refusal.failure.reason
    else:
        assert isinstance(came, Decimal | str)
        assert Decimal(came) == value
        return
    assert refused_as in (Reason.PARAMETER_MISMATCH, Reason.STATEMENT_REJECTED)


def test_a_parameters_value_stays_out_of_failures(case: EngineCase, engine: Engine) -> None:
    secret = BoundParameter("a", "hunter2")
    other = replace(secret, name="b")
    failure = failure_of(run_through(engine, case.numbers(1), parameters=(secret, other)))
    assert "hunter2" not in f"{failure}"


def test_an_unusable_engine_says_why(case: EngineCase, tmp_path: Path) -> None:
    options = case.unusable(tmp_path)
    failure = failure_of(lambda: case.adapter("mine", options))
    assert failure.reason is Reason.ENGINE_UNAVAILABLE
    assert case.unusable_words in failure.message
    assert failure.metadata == {"engine": "mine"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["endless_start", "endless_rows"])
def test_an_engine_explains_without_running_or_says_that_it_does_not(
    case: EngineCase, engine: Engine, kind: str
) -> None:
    if case.name not in EXPLAINING:
        assert failure_of(lambda: engine.explain(statement("SELECT 1"))).reason is Reason.UNSUPPORTED
        return
    assert engine.explain(statement(getattr(case, kind)))
    parameter = BoundParameter("a", "x")
    assert engine.explain(statement(case.named(["a"]), parameters=(parameter,)))
    assert failure_of(lambda: engine.explain(statement(case.rejected))).reason is Reason.STATEMENT_REJECTED
    for text in (
        "DELETE FROM t",
        "ANALYZE SELECT 1",
        "ANALYZE DELETE FROM t",
        "(ANALYZE) SELECT 1",
        "SELECT 1; SELECT 2",
    ):
        refused = failure_of(lambda text=text: engine.explain(statement(text)))
        assert refused.reason in REFUSING, text
    assert read(engine, case.numbers(3)).num_rows == 3
