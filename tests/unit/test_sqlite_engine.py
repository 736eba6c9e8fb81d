"""What is SQLite's own: read-only files, types that are told late, and URLs that keep their secrets."""

import datetime as dt
import math
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Failure, Position, QueryEngineError, Reason
from queryengine.engines.base import Statement
from queryengine.engines.databases import SQLAlchemyEngine
from queryengine.engines.kit.lexicons import SQLITE
from queryengine.engines.kit.reading import StatementText
from queryengine.engines.kit.sqltemplate import Template
from queryengine.engines.sqlalchemy.dialect import CheckedText
from queryengine.engines.sqlalchemy.patience import PatientConnection
from queryengine.engines.sqlalchemy.sqlite import SQLiteDialect
from tests.executing import table


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "odd ?#name%20.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (i INTEGER, d DECIMAL(10,2), x)")
        connection.execute("INSERT INTO t VALUES (1, 1, 'one')")
    connection.close()
    return path


@pytest.fixture
def engine(path: Path) -> Iterator[SQLAlchemyEngine]:
    engine = SQLAlchemyEngine("lite", {"url": url(path)})
    yield engine
    engine.close()


def url(path: Path) -> str:
    return "sqlite:///" + str(path).replace("%", "%25").replace("?", "%3F").replace("#", "%23")


def run(engine: SQLAlchemyEngine, sql: str, **fields) -> pa.Table:
    return table(engine, sql, **fields)


def failure(engine: SQLAlchemyEngine, sql: str, **fields) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        run(engine, sql, **fields)
    return caught.value.failure


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": ""},
        {"url": "nonsense"},
        {"url": "sqlite://"},
        {"url": "sqlite:///:memory:"},
        {"url": "sqlite:////x.db?mode=rw"},
        {"url": "sqlite+aiosqlite:////x.db"},
        {"url": "nosuch://user:hunter2@host/db"},
        {"url": "mysql://user:hunter2@host/db"},
        {"url": "sqlite+other://user:hunter2@host/db"},
        {"url": "://user:hunter2@host/db"},
    ],
)
def test_a_wrong_url_is_refused_without_its_password(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="'url'") as caught:
        SQLAlchemyEngine.traits(options)
    assert "hunter2" not in str(caught.value)


def test_wrong_connect_arguments_make_the_engine_unusable(path: Path) -> None:
    with pytest.raises(ValueError, match="'connect_args'"):
        SQLAlchemyEngine.traits({"url": url(path), "connect_args": 1})
    with pytest.raises(QueryEngineError) as caught:
        SQLAlchemyEngine("lite", {"url": url(path), "connect_args": {"nope": 1}})
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    other = tmp_path / "x.db"
    other.write_text("no database " * 100)
    with pytest.raises(QueryEngineError, match="not a database") as caught:
        SQLAlchemyEngine("lite", {"url": url(other)})
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT load_extension('x')",
        "SELECT * FROM pragma_table_info('t')",
        "SELECT * FROM pragma_database_list",
        "SELECT writefile('/tmp/x', 'x')",
        "SELECT readfile('/etc/passwd')",
    ],
)
def test_nothing_but_reading_gets_through(engine: SQLAlchemyEngine, sql: str) -> None:
    assert failure(engine, sql).reason in {Reason.STATEMENT_NOT_ALLOWED, Reason.STATEMENT_REJECTED}


def test_what_is_not_allowed_is_named(engine: SQLAlchemyEngine) -> None:
    told = failure(engine, "INSERT INTO t VALUES (1)")
    assert told.message == "INSERT statements are not allowed; a statement may only read"


@pytest.mark.parametrize(
    "sql",
    ["INSERT INTO t VALUES (2, 2, 2)", "CREATE TEMP TABLE y AS SELECT 1", "ATTACH 'y.db' AS y", "PRAGMA user_version"],
)
def test_a_write_that_the_check_misses_is_refused_by_sqlite(
    engine: SQLAlchemyEngine, path: Path, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = StatementText(sql, SQLITE.tokens(sql))
    before = path.read_bytes()
    monkeypatch.setattr(SQLiteDialect, "check", lambda *_: CheckedText(Template.of(query, []), frozenset()))
    assert failure(engine, sql).reason is Reason.STATEMENT_NOT_ALLOWED
    assert path.read_bytes() == before


def many(expression: str, rows: int = 2000) -> str:
    return (
        f"WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c) SELECT {expression} AS v FROM c LIMIT {rows}"
    )


@pytest.mark.parametrize(
    "expression",
    [
        "CASE WHEN n < 1000 THEN n ELSE 'text' END",
        "CASE WHEN n < 1000 THEN n ELSE 0.5 END",
        "CASE WHEN n < 1000 THEN 'text' ELSE x'00' END",
        "CASE WHEN n < 1000 THEN x'00' ELSE 'text' END",
        "CASE WHEN n < 1000 THEN NULL ELSE 1 END",
        "CASE WHEN n < 1000 THEN 0.5 ELSE 9007199254740993 END",
    ],
)
def test_a_value_that_does_not_fit_fails_and_is_never_changed(engine: SQLAlchemyEngine, expression: str) -> None:
    told = failure(engine, many(expression))
    assert told.reason is Reason.STATEMENT_REJECTED
    assert told.metadata == {"column": "v"}
    assert "CAST" in told.message


@pytest.mark.parametrize(
    ("expression", "arrow_type"),
    [
        ("CAST(CASE WHEN n < 1000 THEN NULL ELSE n END AS INTEGER)", pa.int64()),
        ("CAST(CASE WHEN n < 1000 THEN n ELSE 0.5 END AS REAL)", pa.float64()),
        ("CAST(CASE WHEN n < 1000 THEN n ELSE 'x' END AS TEXT)", pa.string()),
        ("CASE WHEN n % 2 THEN n ELSE 0.5 END", pa.float64()),
    ],
)
def test_a_cast_settles_the_type(engine: SQLAlchemyEngine, expression: str, arrow_type: pa.DataType) -> None:
    table = run(engine, many(expression))
    assert table.num_rows == 2000
    assert table.schema.field("v").type == arrow_type


def test_declared_types_also_serve_queries_with_parameters(engine: SQLAlchemyEngine) -> None:
    parameters = (BoundParameter("limit", 5), BoundParameter("text", "it's"))
    table = run(engine, "SELECT d, :text AS s FROM t WHERE i < :limit", parameters=parameters)
    assert table.schema.types == [pa.float64(), pa.string()]
    assert table.schema.field("d").metadata == {b"engine_type": b"DECIMAL(10,2)"}
    assert table.to_pylist() == [{"d": 1.0, "s": "it's"}]


def test_text_that_looks_like_a_placeholder_is_text(engine: SQLAlchemyEngine) -> None:
    sql = "SELECT ':x ? %s' AS a, '12:30' AS b, \"i\" AS c FROM t -- :y ?"
    assert run(engine, sql).to_pylist() == [{"a": ":x ? %s", "b": "12:30", "c": 1}]


def test_dates_bind_as_iso_text(engine: SQLAlchemyEngine) -> None:
    values = {
        "day": dt.date(2024, 2, 29),
        "moment": dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC),
        "time": dt.time(12, 30),
        "id": uuid.UUID(int=1),
    }
    parameters = tuple(BoundParameter(name, value) for name, value in values.items())
    row = run(engine, "SELECT :day AS a, :moment AS b, :time AS c, :id AS d", parameters=parameters).to_pylist()[0]
    assert list(row.values()) == [
        "2024-02-29",
        "2024-02-29 12:30:00+00:00",
        "12:30:00",
        "00000000-0000-0000-0000-000000000001",
    ]


def test_a_huge_value_is_refused_instead_of_working_unheard(engine: SQLAlchemyEngine) -> None:
    assert failure(engine, "SELECT hex(zeroblob(60000000))").reason is Reason.ROW_TOO_LARGE


def test_text_that_is_not_unicode_is_told(engine: SQLAlchemyEngine) -> None:
    told = failure(engine, "SELECT CAST(x'ff' AS TEXT) AS s")
    assert told.reason is Reason.STATEMENT_REJECTED
    assert "UTF-8" in told.message


def sizes(engine: SQLAlchemyEngine, sql: str) -> list[tuple[int, int]]:
    with engine.open(Statement(sql=sql, query_id="q")) as execution:
        execution.start()
        return [(batch.num_rows, batch.nbytes) for batch in execution.batches()]


def test_the_first_batch_is_small_and_later_ones_are_not(engine: SQLAlchemyEngine) -> None:
    rows = [rows for rows, _ in sizes(engine, many("n", 100_000))]
    assert rows[0] == 500
    assert max(rows) == 20_000
    assert sum(rows) == 100_000


@pytest.mark.parametrize("expression", ["zeroblob(500000)", "CASE WHEN n < 600 THEN x'' ELSE zeroblob(500000) END"])
def test_batches_of_wide_rows_have_few(engine: SQLAlchemyEngine, expression: str) -> None:
    found = sizes(engine, many(expression, 900))
    assert sum(rows for rows, _ in found) == 900
    assert max(size for _, size in found) < 70_000_000


@pytest.mark.parametrize(
    ("sql", "words", "place"),
    [
        ("SELEC * FROM t", "a query begins with SELECT, TABLE, VALUES, WITH, and not with 'SELEC'", (1, 1)),
        ("SELECT i FRM t x", 'near "t": syntax error', (1, 14)),
        ("SELECT 'FROM' AS \"FROM\",\n\t'\U0001f600' FROM FROM t", 'near "FROM": syntax error', (2, 11)),
        ("SELECT ?1, ?1 ?1", 'near "?1": syntax error', (1, 15)),
        ("TABLE t", 'near "TABLE": syntax error', (1, 1)),
        ("SELECT 1 +", "incomplete input", (1, 11)),
    ],
)
def test_a_syntax_error_is_told_with_its_place(
    engine: SQLAlchemyEngine, sql: str, words: str, place: tuple[int, int]
) -> None:
    found = failure(engine, sql, parameters=(BoundParameter("", 1),) if "?" in sql else ())
    assert found.reason is Reason.SYNTAX_ERROR
    assert found.message == words
    assert found.position == Position(*place)


# ---- a writer's lock


@pytest.fixture
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    """Another connection that holds the file for itself alone."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


class Waits:
    """Calls back when a reader begins to wait for a lock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Event()
        self.then = lambda: None
        wait = PatientConnection._wait

        def waiting(connection: PatientConnection) -> bool:
            self.begun.set()
            self.then()
            return wait(connection)

        monkeypatch.setattr(PatientConnection, "_wait", waiting)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    return Waits(monkeypatch)


def test_a_locked_database_times_out_with_the_query(path: Path, writer: sqlite3.Connection, waits: Waits) -> None:
    engine = SQLAlchemyEngine("lite", {"url": url(path), "connect_args": {"timeout": 3600}})
    writer.execute("BEGIN EXCLUSIVE")
    told = failure(engine, "SELECT i FROM t", execution_timeout_seconds=0.2)
    assert told.reason is Reason.QUERY_TIMEOUT
    assert "locked" in told.message
    assert waits.begun.is_set()
    engine.close()


def test_a_locked_database_is_unavailable_when_the_wait_for_its_lock_is_over(
    path: Path, writer: sqlite3.Connection, waits: Waits
) -> None:
    engine = SQLAlchemyEngine("lite", {"url": url(path), "connect_args": {"timeout": 0.1}})
    writer.execute("BEGIN EXCLUSIVE")
    told = failure(engine, "SELECT i FROM t", execution_timeout_seconds=3600)
    assert (told.reason, told.message) == (Reason.ENGINE_UNAVAILABLE, "database is locked")
    engine.close()


def test_a_query_goes_on_when_the_writer_has_done(
    engine: SQLAlchemyEngine, writer: sqlite3.Connection, waits: Waits
) -> None:
    writer.execute("BEGIN EXCLUSIVE")
    writer.execute("UPDATE t SET i = 7")
    waits.then = lambda: writer.in_transaction and writer.execute("COMMIT")
    assert run(engine, "SELECT i FROM t").to_pylist() == [{"i": 7}]
    assert waits.begun.is_set()


def test_a_query_that_waits_for_a_lock_is_cancelled(path: Path, writer: sqlite3.Connection, waits: Waits) -> None:
    engine = SQLAlchemyEngine("lite", {"url": url(path), "connect_args": {"timeout": 3600}})
    writer.execute("BEGIN EXCLUSIVE")
    execution = engine.open(Statement(sql="SELECT i FROM t", query_id="q", execution_timeout_seconds=3600))
    failures: list[Failure] = []

    def work() -> None:
        try:
            execution.start()
        except QueryEngineError as cause:
            failures.append(cause.failure)

    thread = threading.Thread(target=work)
    thread.start()
    assert waits.begun.wait(30)
    execution.cancel()
    thread.join(30)
    assert [each.reason for each in failures] == [Reason.QUERY_CANCELLED]
    engine.close()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (math.nan, None),
        (math.nan, pa.float32()),
        (pa.scalar(2**31 - 1, pa.int32()).cast(pa.date32()), pa.date32()),
        (pa.scalar(2**62, pa.timestamp("s")), pa.timestamp("s")),
        (pa.scalar(1, pa.timestamp("ns")), pa.timestamp("ns")),
        (dt.timedelta(seconds=1), None),
        (2**63, None),
        ([float("nan")], pa.list_(pa.float64())),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_sqlite_would_change_is_refused_without_its_value(
    engine: SQLAlchemyEngine, value: object, kind: pa.DataType | None
) -> None:
    told = failure(engine, "SELECT :a", parameters=(BoundParameter("a", value, kind),))
    assert told.reason is Reason.PARAMETER_MISMATCH
    assert told.metadata == {"parameter": "a"}
    assert "9223372036854775808" not in told.message
