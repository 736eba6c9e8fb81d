"""What is PostgreSQL's own: roles, schemas, settings, labels, inferred parameters, and places in errors."""

import datetime as dt
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pytest
from postgresql_support import ENDLESS, ENDLESS_ROWS, shared_server

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.engines.base import Statement
from queryengine.engines.databases import SQLAlchemyEngine
from queryengine.engines.kit.lexicons import POSTGRESQL
from queryengine.engines.kit.postgresql.guard import Guard
from queryengine.engines.kit.reading import StatementText
from queryengine.engines.kit.sqltemplate import Template
from queryengine.engines.postgresql import execution as module
from tests.executing import table
from tests.servers.postgresql import PASSWORD, PostgreSQLServer


@pytest.fixture(scope="module")
def server() -> PostgreSQLServer:
    return shared_server()


@pytest.fixture
def engine(server: PostgreSQLServer) -> Iterator[SQLAlchemyEngine]:
    engine = SQLAlchemyEngine("pg", server.options())
    yield engine
    engine.close()


def run(engine: SQLAlchemyEngine, sql: str, **fields) -> pa.Table:
    return table(engine, sql, **fields)


def failure(engine: SQLAlchemyEngine, sql: str, **fields) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        run(engine, sql, **fields)
    return caught.value.failure


def unusable(options: dict[str, Any]) -> str:
    """What an engine with these options says instead of starting."""
    with pytest.raises(QueryEngineError) as caught:
        SQLAlchemyEngine("pg", options)
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE
    assert caught.value.failure.metadata == {"engine": "pg"}
    return caught.value.failure.message


def until(condition, within_seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + within_seconds
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return bool(condition())


# ---- options, credentials, reach


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"answer_timeout_seconds": 0}, "answer_timeout_seconds"),
        ({"answer_timeout_seconds": "1"}, "answer_timeout_seconds"),
        ({"allow_privileged_role": "yes"}, "allow_privileged_role"),
        ({"connect_args": {"no_such_parameter": "hunter2"}}, "connect_args"),
        ({"url": "postgresql://user:hunter2@host/db?no_such=hunter2"}, "url"),
        ({"url": "postgresql+no_such://user:hunter2@host/db"}, "url"),
        ({"url": "postgresql+asyncpg://user:hunter2@host/db"}, "url"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_option_is_named_without_the_password(options: dict[str, Any], key: str) -> None:
    with pytest.raises(ValueError, match=key) as caught:
        SQLAlchemyEngine.traits({"url": "postgresql://user:hunter2@host/db", **options})
    assert "hunter2" not in str(caught.value)


def test_a_wrong_password_is_told_and_not_shown(server: PostgreSQLServer) -> None:
    message = unusable({"url": server.url(password="hunter2")})
    assert "password authentication failed" in message
    assert "hunter2" not in message


def test_a_server_that_accepts_and_never_answers_is_unavailable_in_bounded_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        before = time.monotonic()
        options = {"url": f"postgresql://x@127.0.0.1:{port}/x", "connect_args": {"connect_timeout": 2}}
        assert "timeout" in unusable(options)
        assert time.monotonic() - before < 10


def test_a_role_that_reaches_files_is_refused_unless_allowed(server: PostgreSQLServer) -> None:
    url = server.url().replace("reader:", "owner:")
    message = unusable({"url": url})
    assert "pg_read_server_files" in message
    assert PASSWORD not in message
    options = {"url": url, "allow_privileged_role": True}
    assert SQLAlchemyEngine.traits(server.options()).sandbox
    assert not SQLAlchemyEngine.traits(options).sandbox
    SQLAlchemyEngine("pg", options).close()


def test_a_probe_asks_the_server(server: PostgreSQLServer) -> None:
    engine = SQLAlchemyEngine("pg", server.options())
    engine.probe()
    engine.close()
    with pytest.raises(QueryEngineError) as caught:
        engine.probe()
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE


# ---- what a statement may do


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO own VALUES (2) RETURNING a",
        "UPDATE own SET a = 1 RETURNING a",
        "WITH x AS (INSERT INTO own VALUES (2) RETURNING a) SELECT a FROM x",
        "SELECT nextval('own_a_seq')",
        "SELECT set_config('transaction_read_only', 'off', false)",
    ],
)
def test_a_write_that_the_check_misses_is_refused_by_the_server(
    server: PostgreSQLServer, engine: SQLAlchemyEngine, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS own (a serial); ALTER TABLE own OWNER TO reader")
    query = StatementText(sql, POSTGRESQL.tokens(sql))
    monkeypatch.setattr(module, "check", lambda _: (query, Template.of(query, [])))
    monkeypatch.setattr(Guard, "check", lambda *_: None)
    assert failure(engine, sql).reason in {Reason.STATEMENT_NOT_ALLOWED, Reason.STATEMENT_REJECTED}
    with server.connect() as connection:
        assert connection.execute("SELECT count(*) FROM own").fetchone() == (0,)


@pytest.mark.parametrize("sql", ["SELECT pg_read_file('/etc/passwd')", "SELECT lo_import('/etc/passwd')"])
def test_files_of_the_server_are_out_of_reach(
    engine: SQLAlchemyEngine, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failure(engine, sql).reason is Reason.STATEMENT_NOT_ALLOWED
    monkeypatch.setattr(Guard, "check", lambda *_: None)
    told = failure(engine, sql)
    assert told.reason is Reason.STATEMENT_REJECTED
    assert told.sql_state == "42501"


def test_the_server_shows_which_query_it_is_and_not_whose(server: PostgreSQLServer, engine: SQLAlchemyEngine) -> None:
    statement = Statement(sql=ENDLESS_ROWS, query_id="query-7", tenant="acme", subject="joe@x")
    with engine.open(statement) as execution:
        execution.start()
        pid = execution.progress().engine_query_id
        with server.connect() as connection:
            row = connection.execute("SELECT * FROM pg_stat_activity WHERE pid = %s", [int(pid)]).fetchone()
    assert row is not None
    assert "queryengine query-7" in row
    assert not any(secret in str(row) for secret in ("acme", "joe"))
    assert execution.progress().engine_query_id == pid


def test_a_schema_is_where_names_are_looked_up(server: PostgreSQLServer, engine: SQLAlchemyEngine) -> None:
    with server.connect() as connection:
        connection.execute(
            'CREATE SCHEMA IF NOT EXISTS "Odd"" one"; GRANT USAGE ON SCHEMA "Odd"" one" TO reader;'
            'CREATE TABLE IF NOT EXISTS "Odd"" one".here AS SELECT 7 AS a; GRANT SELECT ON "Odd"" one".here TO reader'
        )
    assert run(engine, "SELECT a FROM here", schema='Odd" one').to_pylist() == [{"a": 7}]
    assert failure(engine, "SELECT a FROM here").sql_state == "42P01"
    told = failure(engine, "SELECT 1", schema="nope")
    assert told.reason is Reason.STATEMENT_REJECTED
    assert "nope" in told.message


def test_session_settings_last_for_one_statement(engine: SQLAlchemyEngine) -> None:
    sql = "SELECT current_setting('TimeZone') AS zone, current_setting('work_mem') AS memory"
    settings = {"TimeZone": "Asia/Tokyo", "work_mem": "5MB"}
    assert run(engine, sql, session_settings=settings).to_pylist() == [{"zone": "Asia/Tokyo", "memory": "5MB"}]
    assert run(engine, sql).to_pylist() != [{"zone": "Asia/Tokyo", "memory": "5MB"}]
    told = failure(engine, sql, session_settings={"work_mem": "much"})
    assert told.reason is Reason.STATEMENT_REJECTED
    assert "work_mem" in told.message


# ---- parameters and places


def test_the_server_infers_the_type_of_a_text(engine: SQLAlchemyEngine) -> None:
    sql = "SELECT :day < DATE '2024-01-02' AS d, 2 = ANY(:some) AS a, :n + 0.5 AS n, :who AS who LIMIT :most"
    values = {"day": "2024-01-01", "some": [1, 2], "n": 1, "who": None, "most": 1}
    table = run(engine, sql, parameters=tuple(BoundParameter(*each) for each in values.items()))
    assert table.column_names == ["d", "a", "n", "who"]
    assert [str(kind) for kind in table.schema.types] == ["bool", "bool", "decimal256(76, 38)", "string"]
    assert table.select(["d", "a", "who"]).to_pylist() == [{"d": True, "a": True, "who": None}]


def test_values_of_every_kind_come_back(engine: SQLAlchemyEngine) -> None:
    values = {
        "day": dt.date(2024, 2, 29),
        "moment": dt.datetime(2024, 2, 29, 12, 30, 0, 5, tzinfo=dt.UTC),
        "local": dt.datetime(2024, 2, 29, 12, 30),  # noqa: DTZ001 - wall-clock time
        "time": dt.time(12, 30, 0, 1),
        "span": pa.MonthDayNano([14, 3, 1_000]),
        "texts": ['a"b', "c,d", "\\", None, "", "NULL"],
    }
    sql = "SELECT " + ", ".join(f":{name} AS {name}" for name in values)
    row = run(engine, sql, parameters=tuple(BoundParameter(*each) for each in values.items())).to_pylist()[0]
    assert row == values


def test_a_parameter_is_bound_and_never_in_the_text(server: PostgreSQLServer, engine: SQLAlchemyEngine) -> None:
    secret = BoundParameter("s", "hunter2")
    with engine.open(Statement(sql=f"{ENDLESS_ROWS} WHERE :s <> ''", query_id="q", parameters=(secret,))) as execution:
        execution.start()
        pid = int(execution.progress().engine_query_id)
        with server.connect() as connection:
            row = connection.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
    assert row is not None
    assert "current_setting" in row[0]
    assert "hunter2" not in row[0]


@pytest.mark.parametrize("kind", [None, pa.list_(pa.null())])
@pytest.mark.parametrize("values", [[], [None]])
@pytest.mark.parametrize("column", ["1", "'x'", "DATE '2024-01-01'", "1.5", "'{1}'::int[]", "'{}'::jsonb"])
def test_a_list_without_elements_is_of_the_type_that_its_place_asks_for(
    engine: SQLAlchemyEngine, column: str, values: list[None], kind: pa.DataType | None
) -> None:
    parameters = (BoundParameter("l", values, kind),)
    if not column.endswith("[]"):
        sql = f"SELECT {column} AS c WHERE {column} = ANY(:l) OR :l <> :l"
        assert run(engine, sql, parameters=parameters).num_rows == 0
    table = run(engine, "SELECT :l AS l, cardinality(:l) AS n", parameters=parameters)
    assert [each[0].as_py() for each in table.columns] == [values, len(values)]


@pytest.mark.parametrize(
    ("sql", "line", "column", "state"),
    [
        ("SELECT :a AS é,\n  :a || nope FROM t", 2, 9, "42703"),
        ("SELECT 1,\n  nope(1) -- :x\n", 2, 3, "42883"),
        ("SELECT 'x:a', \"s\",\n ';' FROM nope;", 2, 11, "42P01"),
    ],
)
def test_a_place_is_that_in_the_text_of_the_user(
    engine: SQLAlchemyEngine, sql: str, line: int, column: int, state: str
) -> None:
    parameters = (BoundParameter("a", "text"),) if ":a AS" in sql else ()
    told = failure(engine, sql, parameters=parameters)
    assert told.reason is Reason.STATEMENT_REJECTED
    assert told.position is not None
    assert (told.position.line, told.position.column, told.sql_state) == (line, column, state)


@pytest.mark.parametrize(
    "expression",
    [
        "DATE 'infinity'",
        "TIMESTAMP '-infinity'",
        "TIMESTAMPTZ '294276-12-31'",
        "TIME '24:00'",
        "'NaN'::numeric(4,1)",
        "'{{1,2},{3,4}}'::int[]",
        "'[2:3]={1,2}'::int[]",
        "'[0:1]={1,2}'::int[]",
        "'[-1:0]={a,b}'::text[]",
        "'[5:5]={1.5}'::numeric[]",
        "'[0:1][2:3]={{1,2},{3,4}}'::int[]",
        "array_fill(DATE '2024-01-01', ARRAY[2], ARRAY[0])",
        "'infinity'::numeric",
        "'NaN'::numeric",
        "'1e300'::numeric",
        "1e-39::numeric",
        "ARRAY[1e300::numeric]",
        "9e38::numeric(76,0)::numeric",
        "ARRAY[DATE 'infinity']",
        "1e60::numeric",
        "INTERVAL '9223372036 seconds' * 900",
    ],
)
def test_a_value_without_a_place_in_arrow_is_refused_and_never_changed(
    engine: SQLAlchemyEngine, expression: str
) -> None:
    told = failure(engine, f"SELECT {expression} AS v")
    assert told.reason is Reason.STATEMENT_REJECTED
    assert told.metadata == {"column": "v"} or "CAST" in told.message
    assert run(engine, f"SELECT to_json({expression}) AS v").num_rows == 1


def test_the_column_of_an_array_that_begins_elsewhere_is_named(engine: SQLAlchemyEngine) -> None:
    sql = "SELECT '{1}'::int[] AS a, CASE WHEN n = 3 THEN '[0:0]={1}' ELSE '{1}' END::int[] AS b"
    told = failure(engine, f"{sql} FROM generate_series(1, 3) AS s (n)")
    assert (told.reason, told.metadata) == (Reason.STATEMENT_REJECTED, {"column": "b"})
    assert "does not begin at 1" in told.message
    assert run(engine, "SELECT '{}'::int[] AS a, NULL::text[] AS b, '{1.5,NULL}'::numeric[] AS c").num_rows == 1


@pytest.fixture(scope="module")
def composites(server: PostgreSQLServer) -> Iterator[None]:
    with server.connect() as connection:
        connection.execute("CREATE TYPE pair AS (n int[], s text); CREATE TYPE nest AS (p pair, q pair[], i int)")
        yield
        connection.execute("DROP TYPE nest; DROP TYPE pair")


BOUNDS = ("'[0:1]={1,2}'", "'[-2:-1]={1,2}'", "'[0:0][1:2]={{1,2}}'", "'[1:1][0:1]={{1,2}}'", "'[5:5]={NULL}'")
HOLDERS = {
    "a composite": "ROW({}, 'x')::pair",
    "an array of composites": "ARRAY[ROW('{{1}}', 'x')::pair, NULL, ROW({}, 'y')::pair]",
    "a composite in a composite": "ROW(ROW({}, 'x')::pair, NULL, 1)::nest",
    "an array in a composite": "ROW(NULL, ARRAY[ROW({}, 'x')::pair], 1)::nest",
}


@pytest.mark.usefixtures("composites")
@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_a_composite_that_holds_bounds_is_refused(engine: SQLAlchemyEngine, holder: str) -> None:
    """Its JSON would have the array without them."""
    for bounds in BOUNDS:
        told = failure(engine, f"SELECT NULL::pair AS a, {holder.format(bounds)} AS b FROM generate_series(1, 3)")
        assert (told.reason, told.metadata) == (Reason.STATEMENT_REJECTED, {"column": "b"}), bounds
        assert "does not begin at 1" in told.message
    for plain in ("'{1,2}'", "'{}'", "NULL", "'{{1,2},{3,4}}'", "'[1:2]={1,2}'"):
        table = run(engine, f"SELECT {holder.format(plain)} AS b, {holder.format(plain)}::text AS t, NULL::pair AS c")
        assert table.column("b")[0].as_py() is not None
        assert table.column("c").to_pylist() == [None]


@pytest.mark.usefixtures("composites")
def test_an_array_of_composites_that_begins_elsewhere_is_refused(engine: SQLAlchemyEngine) -> None:
    sql = "SELECT array_fill(ROW('{1}', 'x')::pair, ARRAY[2], ARRAY[0]) AS b"
    assert failure(engine, sql).metadata == {"column": "b"}
    [[first, second]] = map(json.loads, run(engine, sql.replace(", ARRAY[0]", "")).column("b").to_pylist())
    assert first == second == {"n": [1], "s": "x"}


@pytest.mark.parametrize("shape", ["{}", "ARRAY[{}]"])
def test_numerics_are_those_of_the_server_whatever_their_scale(
    server: PostgreSQLServer, engine: SQLAlchemyEngine, shape: str
) -> None:
    """Beside what psycopg reads as text: Arrow's reading of a text is wrong from some 225 digits on."""
    chance = random.Random(7)
    scales = [*range(30, 42), *range(215, 240), *(chance.randrange(1001) for _ in range(60)), 0, 255, 256, 1000]
    for scale in scales:
        digits = chance.randrange(1, 77)
        number = Decimal(chance.randrange(10**digits)).scaleb(-chance.randrange(digits + 10))
        number *= chance.choice((1, -1))
        numeric = f"'{number:f}'::numeric"
        value = shape.format(chance.choice((numeric, f"round({numeric}, {scale})", f"{numeric} + 0e-{scale}")))
        with server.connect() as connection:
            row = connection.execute(f"SELECT ({value})::text").fetchone()
        text = row[0].strip("{}") if row[0] else None
        try:
            [arrived] = run(engine, f"SELECT {value} AS v").column(0).to_pylist()
        except QueryEngineError as cause:
            assert cause.failure.metadata == {"column": "v"}  # noqa: PT017 - both outcomes are right
            _, found, exponent = Decimal(text).normalize(Context(prec=2000)).as_tuple()
            assert -exponent > 38 or len(found) + exponent > 38, (value, text)
        else:
            arrived = arrived[0] if isinstance(arrived, list) else arrived
            assert arrived == (None if text is None else Decimal(text)), value


# ---- stop


@pytest.fixture(scope="module")
def endless_plan(server: PostgreSQLServer) -> Iterator[None]:
    """A function that says it is immutable: of constants, the planner computes it."""
    with server.connect() as connection:
        connection.execute(
            "CREATE FUNCTION planned() RETURNS int IMMUTABLE LANGUAGE plpgsql "
            "AS 'BEGIN PERFORM pg_sleep(3600); RETURN 1; END'"
        )
        yield
        connection.execute("DROP FUNCTION planned()")


@pytest.mark.usefixtures("endless_plan")
@pytest.mark.parametrize("sql", ["SELECT planned()", ENDLESS, ENDLESS_ROWS, "SELECT pg_sleep(3600)"])
def test_what_is_cancelled_is_gone_from_the_servers_list(
    server: PostgreSQLServer, engine: SQLAlchemyEngine, sql: str
) -> None:
    execution = engine.open(Statement(sql=sql, query_id="q"))
    told: list[BaseException] = []

    def work() -> None:
        try:
            execution.start()
            for _ in execution.batches():
                pass
        except QueryEngineError as cause:
            told.append(cause)

    thread = threading.Thread(target=work)
    thread.start()
    assert until(lambda: server.running() == 1)
    execution.cancel()
    # Confirmed: when cancel returns, not a moment later.
    assert server.running() == 0
    thread.join(30)
    assert not thread.is_alive()
    assert isinstance(told[0], QueryEngineError)
    assert told[0].failure.reason is Reason.QUERY_CANCELLED
    execution.close()


WORKER = f"""
import sys, threading
from queryengine.engines.base import Statement
from queryengine.engines.databases import SQLAlchemyEngine
from queryengine.engines.kit.sqltemplate import Template
engine = SQLAlchemyEngine("pg", {{"url": sys.argv[1]}})
execution = engine.open(Statement(sql={ENDLESS!r}, query_id="q"))
threading.Thread(target=lambda: (execution.start(), list(execution.batches())), daemon=True).start()
print("up", flush=True)
threading.Event().wait()
"""


def test_the_statement_of_a_killed_worker_ends_by_itself(server: PostgreSQLServer) -> None:
    with subprocess.Popen([sys.executable, "-c", WORKER, server.url()], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            assert until(lambda: server.running() == 1)
        finally:
            process.kill()
    assert until(lambda: server.running() == 0)
