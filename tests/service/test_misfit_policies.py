"""Policies that name tables and columns which an engine does not have: said in log and status, refused when planned."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from queryengine.app.service import Service
from queryengine.domain.key_text import new_key
from queryengine.domain.reloads import Trigger
from queryengine.policy.row_security import live_catalog
from queryengine.v1 import admin_service_pb2 as pb
from tests.keyed import KeyApi
from tests.settings_file import ENGINES, with_file, write_settings
from tests.support import COMPLETED, FAILED, WAIT, refused, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = new_key()
PLACE = "policies.engines.lite.relations.main."


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(live_catalog, "LOOK_SECONDS", 0.01)
    path = tmp_path / "data.db"
    change(path, "CREATE TABLE orders (id INTEGER, tenant TEXT)", "CREATE TABLE items (id INTEGER, tenant INTEGER)")
    return path


def change(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        for sql in statements:
            connection.execute(sql)
        connection.commit()


def change_places(source: Path, target: Path) -> None:
    source.rename(target)


def groups(database: Path, **relations: Any) -> dict[str, Any]:
    key = database.parent / "admin.key"
    key.write_text(KEY.text)
    engines = {**ENGINES, "lite": {"type": "sqlalchemy", "workers": 1, "options": {"url": f"sqlite:///{database}"}}}
    return {
        "engines": engines,
        "default_engine": "lite",
        "auth": {"authenticators": [{"type": "api_key", "admin_keys": [f"file:{key}"]}]},
        "policies": {"engines": {"lite": {"relations": {f"main.{name}": each for name, each in relations.items()}}}},
    }


def table(*columns: str) -> dict[str, Any]:
    return {"columns": list(columns), "rules": {"own": {"rows": "tenant = {tenant}"}}}


@asynccontextmanager
async def started(folder: Path, **settings: Any) -> AsyncIterator[tuple[Service, KeyApi]]:
    async with with_file(folder, **settings) as service, grpc.aio.insecure_channel(service.address) as channel:
        yield service, KeyApi(channel, KEY.text, tenant="acme")


async def warnings(api: KeyApi) -> list[str]:
    reply = await api.manage("ReloadStatus", pb.ReloadStatusRequest())
    return list(reply.configuration.warnings)


def line_of(folder: Path, text: str) -> int:
    lines = (folder / "settings.yaml").read_text().splitlines()
    (found,) = [number for number, line in enumerate(lines, 1) if line.strip() == text]
    return found


async def test_what_an_engine_lacks_is_named_with_its_line_and_refused(
    tmp_path: Path, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = {"columns": ["a"], "open": True}
    settings = groups(database, orders=table("id", "tenant", "total"), items=table("id", "tenant"), nowhere=nowhere)
    async with started(tmp_path, **settings) as (_, api):
        for sql, message in (
            ("SELECT id FROM orders", "its table main.orders lacks column 'total'"),
            ("SELECT 1 FROM nowhere", "it has no table main.nowhere"),
            ("SELECT i.id FROM items i, (SELECT * FROM nowhere)", "it has no table main.nowhere"),
        ):
            refusal = await refused(api.submit(sql))
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "RELATION_NOT_ALLOWED")
            assert message in refusal.message
        # A type is warned of.
        assert (await api.submit("SELECT * FROM items", wait_timeout=WAIT)).status.state == COMPLETED
        found = await warnings(api)
        path = tmp_path / "settings.yaml"
        expected = {
            f"{path}:{line_of(tmp_path, 'main.orders:')}: {PLACE}orders": "'total'",
            f"{path}:{line_of(tmp_path, 'main.nowhere:')}: {PLACE}nowhere": "no table main.nowhere",
            f"{PLACE}items.rules.own": "column 'tenant' of main.items is compared with the caller's tenant",
        }
        assert len(found) == len(expected)
        for place, what in expected.items():
            assert any(place in line and what in line and "engine 'lite'" in line for line in found), (place, found)
        assert set(found) <= {record.message for record in caplog.records if record.levelname == "WARNING"}
        # Mended while the server runs.
        change(database, "ALTER TABLE orders ADD COLUMN total INTEGER", "CREATE TABLE nowhere (a INTEGER)")

        async def is_read() -> bool:
            try:
                return bool((await api.submit("SELECT * FROM orders, nowhere", wait_timeout=WAIT)).status.query_id)
            except grpc.aio.AioRpcError:
                return False

        await until(is_read)
        assert len(await warnings(api)) == 1


async def test_new_policies_are_looked_at_when_they_are_loaded(tmp_path: Path, database: Path) -> None:
    async with started(tmp_path, **groups(database, orders=table("id", "tenant"))) as (service, api):
        assert (await api.submit("SELECT * FROM orders", wait_timeout=WAIT)).status.state == COMPLETED
        assert await warnings(api) == []
        write_settings(tmp_path, **groups(database, orders=table("id", "tenant", "lost")))
        assert (await service.reload(Trigger.SIGNAL)).last.is_applied

        async def warned() -> list[str]:
            return await warnings(api)

        (line,) = await until(warned)
        assert "'lost'" in line
        assert (await refused(api.submit("SELECT id FROM orders"))).reason == "RELATION_NOT_ALLOWED"


async def test_a_table_that_changes_under_a_query_fails_it_by_name(tmp_path: Path, database: Path) -> None:
    async with started(tmp_path, **groups(database, orders=table("id", "tenant"))) as (_, api):
        assert (await api.submit("SELECT * FROM orders", wait_timeout=WAIT)).status.state == COMPLETED
        change(database, "ALTER TABLE orders RENAME COLUMN id TO number")
        status = (await api.submit("SELECT * FROM orders", wait_timeout=WAIT)).status
        assert status.state == FAILED
        assert status.error.reason == "RELATION_NOT_ALLOWED"
        assert "its table main.orders lacks a column that the policy names" in status.error.message
        # What is wrong with a statement is still said of the statement.
        change(database, "ALTER TABLE orders RENAME COLUMN number TO id")
        assert (await refused(api.submit("SELECT amount FROM orders"))).reason == "STATEMENT_REJECTED"


async def test_an_engine_that_comes_up_late_is_looked_at_then(tmp_path: Path, database: Path) -> None:
    change_places(database, tmp_path / "aside.db")
    async with started(tmp_path, **groups(database, orders=table("id", "tenant", "total"))) as (_, api):
        assert await warnings(api) == []
        change_places(tmp_path / "aside.db", database)

        async def warned() -> list[str]:
            return await warnings(api)

        (line,) = await until(warned)
        assert "'total'" in line
