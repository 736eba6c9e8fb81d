"""Trino's errors: each code that the server knows has a reason, and a user's mistakes are the user's."""

from collections.abc import Iterator

import pytest
from trino_support import failure_of, opened, read, server

from queryengine.domain.errors import Reason
from queryengine.engines.trino.engine import TrinoEngine
from queryengine.engines.trino.error_codes import is_sorted, reason_of


@pytest.fixture(scope="module")
def engine() -> Iterator[TrinoEngine]:
    with opened(server().options()) as engine:
        yield engine


def test_every_code_of_the_server_is_sorted() -> None:
    codes = server().error_codes()
    assert len(codes) > 150
    assert [name for name, kind in codes.items() if not is_sorted(name, kind)] == []


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("DIVISION_BY_ZERO", "USER_ERROR", Reason.STATEMENT_REJECTED),
        ("ABANDONED_QUERY", "USER_ERROR", Reason.ENGINE_UNAVAILABLE),
        ("EXCEEDED_FUNCTION_MEMORY_LIMIT", "USER_ERROR", Reason.OUT_OF_MEMORY),
        ("CATALOG_UNAVAILABLE", "USER_ERROR", Reason.ENGINE_ERROR),
        ("PAGE_TOO_LARGE", "INTERNAL_ERROR", Reason.ROW_TOO_LARGE),
        ("GENERIC_INTERNAL_ERROR", "INTERNAL_ERROR", Reason.ENGINE_ERROR),
        # Codes of connectors go by their type.
        ("HIVE_PARTITION_READ_ONLY", "USER_ERROR", Reason.STATEMENT_REJECTED),
        ("HIVE_EXCEEDED_PARTITION_LIMIT", "INSUFFICIENT_RESOURCES", Reason.OUT_OF_MEMORY),
        ("HIVE_METASTORE_ERROR", "EXTERNAL", Reason.ENGINE_ERROR),
        ("", "", Reason.ENGINE_ERROR),
    ],
)
def test_name_and_type_decide(name: str, kind: str, reason: Reason) -> None:
    assert reason_of(name, kind) is reason


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT fail('boom')", "boom"),
        ("SELECT 1 / (nationkey - 3) FROM nation", "zero"),
        ("SELECT CAST('x' AS integer)", "Cannot cast"),
        ("SELECT (SELECT nationkey FROM nation)", "multiple rows"),
        ("SELECT json_parse('{')", "JSON"),
        ("SELECT sequence(1, 1000000)", "sequence"),
        ("SELECT regexp_like('a', '(')", "parenthesis"),
    ],
)
def test_a_users_mistake_is_the_users(engine: TrinoEngine, sql: str, words: str) -> None:
    failure = failure_of(lambda: read(engine, sql))
    assert failure.reason is Reason.STATEMENT_REJECTED
    assert words in failure.message
