"""DuckDB's errors: every type has its reason; a message holds nothing that is of no use to a user of the service."""

import json
from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.duckdb import errors
from queryengine.engines.duckdb.engine import DuckDBEngine, DuckDBExecution
from queryengine.engines.duckdb.errors import MORE_MEMORY, facts_of, translated
from tests.executing import table

ENGINES_OWN = (
    *(
        "Connection",
        "Data Corruption",
        "Executor",
        "FATAL",
        "HTTP",
        "INTERNAL",
        "IO",
        "Index",
        "NullPointer",
        "Optimizer",
    ),
    *("Planner", "Resource In Use", "Scheduler", "Serialization", "Stat", "TransactionContext", "Of The Future"),
)
USERS = (
    *("Binder", "Catalog", "Constraint", "Conversion", "Decimal", "Dependency", "Divide by Zero", "Expression"),
    *("Extension Autoloading", "Invalid Configuration", "Invalid Input", "Invalid type", "Invalid", "Mismatch Type"),
    *("Missing Extension", "Not implemented", "Object Size", "Out of Range", "Parameter Not Allowed"),
    *("Parameter Not Resolved", "Sequence", "Settings", "Unknown Type"),
)
REASONS = {
    **dict.fromkeys(ENGINES_OWN, Reason.ENGINE_ERROR),
    **dict.fromkeys(USERS, Reason.STATEMENT_REJECTED),
    "INTERRUPT": Reason.QUERY_CANCELLED,
    "Out of Memory": Reason.OUT_OF_MEMORY,
    "Parser": Reason.SYNTAX_ERROR,
    "Permission": Reason.STATEMENT_NOT_ALLOWED,
    "Syntax": Reason.SYNTAX_ERROR,
}


@pytest.fixture
def engine() -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine("duckdb", {"memory_limit": "60MB"})
    yield engine
    engine.close()


def read(engine: DuckDBEngine, sql: str) -> pa.Table:
    return table(engine, sql)


@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("as_json", [False, True])
def test_every_type_of_error_has_its_reason(kind: str, as_json: bool) -> None:
    details = json.dumps({"exception_type": kind, "exception_message": "what it says"})
    failure = translated(duckdb.Error(f"{kind} Error: {details if as_json else 'what it says'}"), "SELECT 1").failure
    assert failure.reason is REASONS[kind]
    assert failure.message.removesuffix(MORE_MEMORY).endswith("what it says")
    assert failure.message.endswith(MORE_MEMORY) == (kind == "Out of Memory")


def test_the_table_has_every_type_that_is_tested() -> None:
    assert set(errors._REASONS) == set(REASONS) - {"Of The Future"}


def test_an_error_of_the_stream_counts_like_any_other() -> None:
    assert translated(OSError("Conversion Error: bad"), "").failure.reason is Reason.STATEMENT_REJECTED
    assert translated(OSError("INTERRUPT Error: maximum execution time"), "").failure.reason is Reason.QUERY_TIMEOUT


TRACE = """INTERNAL Error: Attempted to access index 5 within vector of size 5

Stack Trace:

0        duckdb::Exception::Exception + 44
1        /opt/app/.venv/lib/python3.11/site-packages/_duckdb.so(+0x12345)

This error signals an assertion failure within DuckDB. This usually occurs due to unexpected conditions or errors in the
program's logic.
For more information, see https://duckdb.org/docs/stable/dev/internal_errors"""
ASSERTION = (
    'INTERNAL Error: Assertion triggered in file "/duckdb/src/common/x.cpp" on line 12: a\n\nStack Trace:\n\n0 x'
)
WITH_JSON = "INTERNAL Error: " + json.dumps(
    {
        "exception_type": "INTERNAL",
        "exception_message": "broken",
        "stack_trace": "/opt/x.so",
        "stack_trace_pointers": "1;2",
    }
)
INVALIDATED = (
    "FATAL Error: Failed: database has been invalidated because of a previous fatal error. The database must be "
    'restarted prior to being used again.\nOriginal error: "broken"\n\nStack Trace:\n/opt/x.so'
)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (TRACE, "Attempted to access index 5 within vector of size 5"),
        (ASSERTION, "Assertion triggered: a"),
        (WITH_JSON, "broken"),
        (WITH_JSON + "\nThis error signals an assertion failure within DuckDB.", "broken"),
        (INVALIDATED, "invalidated because of a previous fatal error"),
    ],
)
def test_an_internal_error_shows_no_stack_and_no_path(raw: str, words: str) -> None:
    failure = translated(duckdb.Error(raw), "SELECT 1").failure
    assert failure.reason is Reason.ENGINE_ERROR
    assert failure.message.startswith("an error within DuckDB itself ended the query: ")
    assert words in failure.message
    for part in ("Stack", "stack", "/opt", "/duckdb", ".so", "signals", "{"):
        assert part not in failure.message


@pytest.mark.parametrize("filler", ["\n", ' in file "', "\nPossible", "x", ". Use SET a=1 ", '{"'])
def test_a_message_of_any_length_is_read_at_once(filler: str) -> None:
    """A regular expression that goes back and forth over this would take minutes."""
    text = filler * (8_000_000 // len(filler))
    for raw in (f"Invalid Input Error: {text}", "Invalid Input Error: " + json.dumps({"exception_message": text})):
        failure = translated(duckdb.Error(raw), "SELECT 1").failure
        assert failure.reason is Reason.STATEMENT_REJECTED
        assert len(failure.message) < 20_000


ADVICE = {
    "Binder Error: Pivot column limit of 100000 exceeded. Use SET pivot_limit=X to increase the limit.": (
        "Binder Error: Pivot column limit of 100000 exceeded."
    ),
    'Catalog Error: Function "f" is not in the catalog, but it exists in the spatial extension.\n\n'
    "Please try installing and loading the spatial extension:\nINSTALL spatial;\nLOAD spatial;\n\n": (
        'Catalog Error: Function "f" is not in the catalog, but it exists in the spatial extension.'
    ),
    "Binder Error: ORDER BY non-integer literal has no effect.\n* SET order_by_non_integer_literal=true to allow it.": (
        "Binder Error: ORDER BY non-integer literal has no effect."
    ),
    "Invalid Input Error: Arrow Appender: too long\n* SET arrow_large_buffer_size=true to use large string buffers": (
        "Invalid Input Error: Arrow Appender: too long"
    ),
    'Invalid Input Error: "maximum_object_size" of 9 bytes exceeded.\n Try increasing "maximum_object_size".': (
        'Invalid Input Error: "maximum_object_size" of 9 bytes exceeded.'
    ),
    "Invalid Input Error: Division by zero in expression (1 // 0). Use TRY(...) to return NULL for this expression, or "
    "SET error_on_division_by_zero=false to return NULL for all divisions by zero.": (
        "Invalid Input Error: Division by zero in expression (1 // 0). Use TRY(...) to return NULL for this expression."
    ),
    "Invalid Input Error: scalar subqueries can only return a single row.\n\n"
    'Use "SET scalar_subquery_error_on_multiple_rows=false" to revert to previous behavior.': (
        "Invalid Input Error: scalar subqueries can only return a single row."
    ),
    "Binder Error: Deprecated lambda arrow (->) detected.\n"
    "Use SET lambda_syntax='ENABLE_SINGLE_ARROW' to revert to the deprecated behavior.\nFor more, see the page.": (
        "Binder Error: Deprecated lambda arrow (->) detected.\nFor more, see the page."
    ),
    # What a user can do something with stays.
    'Catalog Error: Table with name a does not exist!\nDid you mean "b"?': (
        'Catalog Error: Table with name a does not exist!\nDid you mean "b"?'
    ),
    'Catalog Error: Table with name pg_clas does not exist!\nDid you mean "pg_class"?': (
        'Catalog Error: Table with name pg_clas does not exist!\nDid you mean "pg_class"?'
    ),
    # What nobody has meant does not.
    'Catalog Error: Table with name /etc/passwd does not exist!\nDid you mean "pg_class"?': (
        "Catalog Error: Table with name /etc/passwd does not exist!"
    ),
    'Catalog Error: Table with name nothing does not exist!\nDid you mean "information_schema.views"?': (
        "Catalog Error: Table with name nothing does not exist!"
    ),
    "Binder Error: No function matches f(INTEGER). Add explicit type casts.\n\tCandidate functions:\n\tf": (
        "Binder Error: No function matches f(INTEGER). Add explicit type casts.\n\tCandidate functions:\n\tf"
    ),
    "Conversion Error: Could not convert string 'Use SET x=1 now.' to INT32": (
        "Conversion Error: Could not convert string 'Use SET x=1 now.' to INT32"
    ),
}


@pytest.mark.parametrize("raw", ADVICE)
def test_advice_that_nobody_can_follow_is_left_out(raw: str) -> None:
    assert facts_of(duckdb.Error(raw)).message == ADVICE[raw]


def test_duckdb_gives_such_advice(engine: DuckDBEngine) -> None:
    statements = {
        "FROM range(30000000) ORDER BY hash(range)": Reason.OUT_OF_MEMORY,
        "FROM (PIVOT (SELECT range AS a FROM range(200000)) ON a USING count(*))": Reason.STATEMENT_REJECTED,
        "SELECT 1 ORDER BY 'x'": Reason.STATEMENT_REJECTED,
        "SELECT 1 // 0": Reason.STATEMENT_REJECTED,
        "SELECT (SELECT range FROM range(3))": Reason.STATEMENT_REJECTED,
        "SELECT st_point(1, 2)": Reason.STATEMENT_REJECTED,
    }
    for sql, reason in statements.items():
        with pytest.raises(QueryEngineError) as caught:
            read(engine, sql)
        failure = caught.value.failure
        assert failure.reason is reason
        for part in ("SET ", "INSTALL", "Possible", "http", "temp_directory"):
            assert part not in failure.message


@pytest.mark.parametrize("nested", ["[" * 99 + "1" + "]" * 99, "{'a': " * 90 + "1" + "}" * 90])
def test_a_column_nested_too_deeply_is_a_mistake_of_the_statement(engine: DuckDBEngine, nested: str) -> None:
    with pytest.raises(QueryEngineError) as caught:
        read(engine, f"SELECT {nested} AS x")
    assert caught.value.failure.reason is Reason.STATEMENT_REJECTED
    assert caught.value.failure.message == "a column of the result is nested more than 64 levels deep"
    deep = "[" * 60 + "1" + "]" * 60
    assert read(engine, f"SELECT {deep} AS x").num_rows == 1


def test_an_instance_that_broke_is_replaced(engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise duckdb.InternalException(TRACE)

    with monkeypatch.context() as patch:
        patch.setattr(DuckDBExecution, "_bound", broken)
        with pytest.raises(QueryEngineError):
            read(engine, "SELECT 1")
    # As DuckDB does after a fatal error, it refuses whatever comes.
    engine.sessions.instance.close()
    assert read(engine, "SELECT 1 AS a").to_pylist() == [{"a": 1}]
