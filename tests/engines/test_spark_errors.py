"""Spark's errors: each condition that the server knows has a reason, and a user's mistakes are the user's."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.spark.conditions import is_sorted, reason_of
from queryengine.engines.spark.engine import SparkEngine
from tests.executing import table
from tests.servers.server import shared
from tests.servers.spark import SparkServer


@pytest.fixture(params=[False, True], ids=["direct", "staged"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SparkEngine]:
    options = shared(SparkServer).options()
    engine = SparkEngine("mine", {**options, "staging": str(tmp_path)} if request.param else options)
    yield engine
    engine.close()


def test_every_condition_of_the_server_is_sorted() -> None:
    conditions = cast("SparkServer", shared(SparkServer)).error_conditions()
    assert len(conditions) > 1000
    assert [name for name, state in conditions.items() if not is_sorted(name, state)] == []


@pytest.mark.parametrize(
    ("condition", "state", "reason"),
    [
        ("UNBOUND_SQL_PARAMETER", "42P02", Reason.PARAMETER_MISMATCH),
        ("DIVIDE_BY_ZERO", "22012", Reason.STATEMENT_REJECTED),
        ("INVALID_EXTRACT_FIELD", "42601", Reason.STATEMENT_REJECTED),
        ("COLLECTION_SIZE_LIMIT_EXCEEDED.PARAMETER", "54000", Reason.STATEMENT_REJECTED),
        ("SPILL_OUT_OF_MEMORY", "82003", Reason.OUT_OF_MEMORY),
        ("_LEGACY_ERROR_TEMP_1234", "", Reason.STATEMENT_REJECTED),
        ("_LEGACY_ERROR_TEMP_2250", "", Reason.OUT_OF_MEMORY),
        ("_LEGACY_ERROR_TEMP_2046", "", None),
        ("INTERNAL_ERROR", "XX000", None),
        ("FAILED_READ_FILE.NO_HINT", "KD001", None),
        ("", "", None),
    ],
)
def test_name_and_state_decide(condition: str, state: str, reason: Reason | None) -> None:
    assert reason_of(condition, state) is reason


@pytest.mark.parametrize(
    ("sql", "reason", "words"),
    [
        ("SELECT raise_error('boom') AS v FROM range(3)", Reason.STATEMENT_REJECTED, "boom"),
        ("SELECT raise_error('Java heap space, maxResultSize') AS v", Reason.STATEMENT_REJECTED, "heap"),
        ("SELECT assert_true(id < 2) AS v FROM range(4)", Reason.STATEMENT_REJECTED, "is not true"),
        ("SELECT 1 / (id - 2) AS v FROM range(4)", Reason.STATEMENT_REJECTED, "DIVIDE_BY_ZERO"),
        ("SELECT xpath('<a', 'b') AS v", Reason.STATEMENT_REJECTED, "expression"),
        ("SELECT sequence(0, 10000000000) AS v", Reason.STATEMENT_REJECTED, "size limit"),
        ("SELECT map_from_arrays(array(1, 1), array(1, 2)) AS v", Reason.STATEMENT_REJECTED, "Duplicate"),
    ],
)
def test_a_users_mistake_is_the_users(engine: SparkEngine, sql: str, reason: Reason, words: str) -> None:
    with pytest.raises(QueryEngineError) as caught:
        table(engine, sql)
    assert caught.value.failure.reason is reason
    assert words in caught.value.failure.message
