"""The oracle through a whole server: rules chosen by claims of a token, policies and their secret from the settings.

What a client reads is compared with the names of its columns, and in the order that ORDER BY asks for.
"""

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import duckdb
import grpc
import psycopg
import pytest
import sqlalchemy as sa
from databases import filled
from oracle import COLUMNS, HIDDEN, REGIONS, SUBJECT, TENANT, Row, full, names, seen, texts

from tests.guarded import Holder, MovableClock, issuer
from tests.servers.postgresql import READER, PostgreSQLServer
from tests.servers.server import shared
from tests.support import COMPLETED, WAIT, Received, refused, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = "the secret that hashes are keyed with"
CLAIMS = {"tenant": TENANT, "sub": SUBJECT, "regions": REGIONS, "team": ["sales", "eu"]}
OPEN_TABLES = ("single", "secrets")
"""Tables that no policy names: to be read where the engine is open by default, and nowhere else."""
ORDERED = [
    "SELECT id, amount FROM orders ORDER BY id DESC",
    "SELECT * FROM orders ORDER BY amount DESC, id",
    "SELECT * FROM orders ORDER BY card, note, id DESC",
    "SELECT id, email FROM customers ORDER BY email DESC",
    "SELECT id, salary FROM customers ORDER BY salary, id LIMIT 3 OFFSET 1",
    "SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON c.id = o.customer_id ORDER BY c.name NULLS LAST, o.id",
    "SELECT card, count(*) AS n FROM orders GROUP BY card ORDER BY n DESC, card",
    "SELECT id, row_number() OVER (ORDER BY amount DESC, id) AS r FROM orders ORDER BY r",
    "SELECT id FROM orders UNION ALL SELECT id + 100 FROM customers ORDER BY 1 DESC",
    "SELECT x.id FROM (SELECT id FROM orders ORDER BY id DESC LIMIT 4) AS x ORDER BY x.id",
    'SELECT name AS "Country", code FROM countries ORDER BY code DESC',
]
"""Whose rows have one order."""
STEP = 4
"""Every so many of the texts by hand are asked here; all of them are in the oracle without a server."""

Answer = tuple[list[str], list[Row]]
Ask = Callable[[str], Answer]
WHOLE_ROWS = ("SELECT orders FROM orders", "SELECT o FROM orders o")
"""Whose values are rows, which a client gets in another form."""


def relations(schema: str) -> dict[str, Any]:
    """As the oracle's own policy, in the form of the settings; each after a rule for others, by their claims."""

    def ruled(table: str, rows: str, **more: Any) -> dict[str, Any]:
        others = {"claims": {"team": ["support", "ops"]}, "rows": "1 = 1"}
        strangers = {"claims": {"team": "eu", "clearance": 3}, "rows": "1 = 1"}
        own = {"claims": {"team": ["sales", "none"]}, "rows": rows, **more}
        return {"columns": names(table), "rules": {"others": others, "strangers": strangers, "own": own}}

    return {
        f"{schema}.orders": ruled(
            "orders", "tenant = {tenant}", hidden=["tenant"], masks={"card": "last4", "note": "null"}
        ),
        f"{schema}.customers": ruled(
            "customers",
            "tenant = {tenant} AND region IN ({claims.regions})",
            hidden=["tenant"],
            masks={"email": "hash", "salary": "salary - salary % 1000"},
        ),
        f"{schema}.countries": {"columns": names("countries"), "open": True},
        f'{schema}."Odd Name"': ruled("Odd Name", "owner = {subject}", hidden=["owner"]),
        f"{schema}.ledger": {
            "columns": names("ledger"),
            "rules": {"nobody": {"claims": {"team": "audit"}, "rows": "1 = 1"}},
        },
    }


def hashed(engine: str) -> Callable[[str], str]:
    salt = hmac.new(KEY.encode(), engine.encode(), hashlib.sha256).hexdigest()[:32]
    return lambda value: hashlib.sha256(f"{salt}{value}".encode()).hexdigest()


def visible(engine: str) -> dict[str, list[Row]]:
    """What is left for the holder of the token, with the tables that are open by default."""
    tables = seen(hashed(engine))
    return {**tables, **{name: full()[name] for name in OPEN_TABLES}} if engine == "open" else tables


@contextmanager
def on_duckdb(engine: str) -> Iterator[Ask]:
    connection = duckdb.connect(":memory:")
    for statement in filled(visible(engine), is_full=False, schema="main", types={}):
        connection.execute(statement)

    def ask(sql: str) -> Answer:
        found = connection.execute(sql)
        return [each[0] for each in found.description or ()], found.fetchall()

    with connection:
        yield ask


@contextmanager
def on_postgresql(server: PostgreSQLServer, engine: str) -> Iterator[Ask]:
    with database(server, f"policies_{engine}", visible(engine), is_full=False) as connection:

        def ask(sql: str) -> Answer:
            with connection.transaction(force_rollback=True):
                found = connection.execute(sql.encode())
                return [each.name for each in found.description or ()], found.fetchall()

        yield ask


@contextmanager
def database(
    server: PostgreSQLServer, name: str, rows: dict[str, list[Row]], *, is_full: bool
) -> Iterator[psycopg.Connection[Any]]:
    """A database of that name, which is made anew."""
    with server.connect() as owner:
        owner.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        owner.execute(f"CREATE DATABASE {name}".encode())
    with server.connect(name) as connection:
        for statement in filled(rows, is_full=is_full, schema="public", types={}):
            connection.execute(statement.encode())
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}".encode())
        yield connection


@asynccontextmanager
async def policed(folder: Path, options: dict[str, Any], schema: str) -> AsyncIterator[Holder]:
    """A server with two engines over one database, closed and open by default; and the holder of a token."""
    (folder / "hash.key").write_text(KEY)
    (folder / "hash.key").chmod(0o600)
    engines = {name: {**options, "workers": 1} for name in ("closed", "open")}
    policies = {
        "hash_key": f"file:{folder / 'hash.key'}",
        "engines": {
            "closed": {"relations": relations(schema)},
            "open": {"default": "open", "relations": relations(schema)},
        },
    }
    clock = MovableClock()
    auth = {"authenticators": [issuer(folder, default_roles=["submit", "read"])]}
    async with (
        serving(folder / "state", clock=clock, engines=engines, auth=auth, policies=policies) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        yield Holder(channel, clock, **CLAIMS)


async def answer(api: Holder, engine: str, sql: str) -> Answer | None:
    """What a client reads; None for a refusal or a failure, which must say nothing of what is hidden."""
    try:
        status = (await api.submit(sql, engine=engine, wait_timeout=WAIT)).status
    except grpc.aio.AioRpcError as cause:
        code, said = cause.code(), str(cause.details())
    else:
        code, said = grpc.StatusCode.OK, status.error.message
    assert code in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED), said
    assert HIDDEN not in said or HIDDEN in sql
    if code is not grpc.StatusCode.OK or status.state != COMPLETED:
        return None
    table = Received(await api.stream(status.query_id).all()).table()
    columns = [table.column(number).to_pylist() for number in range(table.num_columns)]
    return table.column_names, [tuple(row) for row in zip(*columns, strict=True)]


async def compare(
    api: Holder, engine: str, ask: Callable[[str], Answer], honest: list[str], hostile: list[str]
) -> None:
    wrong, refusals = list[str](), list[str]()
    for sql in (*ORDERED, *honest, *hostile):
        if sql in WHOLE_ROWS:
            continue
        try:
            expected: Answer | None = ask(sql)
        except Exception:
            expected = None
        found = await answer(api, engine, sql)
        if found is None:
            refusals += [sql] if sql not in hostile and expected is not None else []
        elif expected is None or not _equal(found, expected, in_order=sql in ORDERED):
            wrong.append(f"{sql}\n    found {_shown(found)}\n    not   {expected and _shown(expected)}")
        elif HIDDEN in str(found) and HIDDEN not in sql and engine == "closed":
            wrong.append(f"{sql}\n    found what is hidden: {_shown(found)}")
    assert not wrong, "\n".join(wrong)
    assert len(refusals) * 100 < 3 * len(honest), "\n".join(refusals)


def _equal(found: Answer, expected: Answer, *, in_order: bool) -> bool:
    here, there = ([str([_plain(value) for value in row]) for row in each[1]] for each in (found, expected))
    return found[0] == expected[0] and (here == there if in_order else Counter(here) == Counter(there))


def _shown(each: Answer) -> str:
    return f"{each[0]} {each[1][:4]}"


def _plain(value: Any) -> Any:
    """Numbers by their value, and what is nested by its text."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, tuple):
        # As Arrow calls the fields of a row without names.
        value = {f"element{number}": each for number, each in enumerate(value, 1)}
    try:
        return f"{float(value):.9g}"
    except (TypeError, ValueError):
        return re.sub(r"[\s'\"]", "", str(value))


async def test_duckdb(tmp_path: Path) -> None:
    file = tmp_path / "everything.db"
    with duckdb.connect(str(file)) as connection:
        for statement in filled(full(), is_full=True, schema="main", types={}):
            connection.execute(statement)
    async with policed(tmp_path, {"type": "duckdb", "options": {"path": str(file)}}, "main") as api:
        for engine in ("closed", "open"):
            with on_duckdb(engine) as ask:
                await compare(api, engine, ask, *_texts("duckdb.sql", "main", engine))
        await _open_tables_are_read_where_they_are(api)


@pytest.mark.engine_server
async def test_postgresql(tmp_path: Path) -> None:
    server = cast("PostgreSQLServer", shared(PostgreSQLServer))
    with database(server, "policies_all", full(), is_full=True):
        url = sa.make_url(server.url()).set(database="policies_all").render_as_string(hide_password=False)
        async with policed(tmp_path, {"type": "sqlalchemy", "options": {"url": url}}, "public") as api:
            for engine in ("closed", "open"):
                with on_postgresql(server, engine) as ask:
                    await compare(api, engine, ask, *_texts("postgresql.sql", "public", engine))
            await _open_tables_are_read_where_they_are(api)


def _texts(file: str, schema: str, engine: str) -> tuple[list[str], list[str]]:
    """Other ones for each engine."""
    first = ("closed", "open").index(engine)
    honest = [sql for each in (("common.sql",), (file,)) for sql in list(texts("honest", *each))[first::STEP]]
    hostile = [sql for each in (("common.sql",), (file,)) for sql in list(texts("hostile", *each))[first::STEP]]
    return [sql.replace("{schema}", schema) for sql in honest], [sql.replace("{schema}", schema) for sql in hostile]


async def _open_tables_are_read_where_they_are(api: Holder) -> None:
    for table in OPEN_TABLES:
        found = await answer(api, "open", f"SELECT count(*) AS n FROM {table}")
        assert found == (["n"], [(len(full()[table]),)])
        assert (await refused(api.submit(f"SELECT 1 FROM {table}", engine="closed"))).reason == "RELATION_NOT_ALLOWED"
    # Listed, with rules for others alone.
    for engine in ("closed", "open"):
        assert (await refused(api.submit("SELECT 1 FROM ledger", engine=engine))).reason == "RELATION_NOT_ALLOWED"
    assert set(COLUMNS) >= {*OPEN_TABLES, "ledger"}
