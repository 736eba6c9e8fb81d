"""What queries have used, as users, admins of a tenant and of the service see it: by call, command and client."""

import asyncio
import csv
import datetime as dt
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from queryengine.cli.main import app
from queryengine.client import AccessDenied, AsyncClient, Client
from queryengine.domain.clock import SystemClock
from queryengine.domain.identity import Role
from queryengine.v1 import query_service_pb2 as pb
from tests.keyed import ADMIN, Keyed, keyed
from tests.support import COMPLETED, WAIT, Api, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

TENANT = "acme"
USER = [Role.SUBMIT, Role.READ, Role.CANCEL]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory, shared_folders: set[str]) -> AsyncIterator[Keyed]:
    folder = tmp_path_factory.mktemp("used")
    async with keyed(folder) as found:
        shared_folders.add(str(folder))
        yield found
    shared_folders.discard(str(folder))


def today() -> dt.date:
    return dt.datetime.fromtimestamp(SystemClock().now_us() / 1e6, dt.UTC).date()


def asking(shared: Keyed, key: str, tenant: str = TENANT) -> Client:
    return Client(shared.service.address, tenant=tenant, api_key=key)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def keys(shared: Keyed) -> dict[str, str]:
    """A key of each of two users and an admin of the tenant, once each user has run two queries."""

    def made() -> dict[str, str]:
        with asking(shared, ADMIN.text) as admin:
            roles = {"ann": USER, "bob": USER, "boss": [Role.TENANT_ADMIN, Role.READ]}
            found = {name: admin.create_api_key(name, its).secret for name, its in roles.items()}
        for name in ("ann", "bob"):
            with asking(shared, found[name]) as client:
                client.query("scanned 10 640; rows 7", engine="scripted").to_arrow()
                client.submit("fail ENGINE_ERROR", engine="scripted", wait_timeout=30)
        return found

    return await asyncio.to_thread(made)


async def test_everyone_sees_what_is_theirs(shared: Keyed, keys: dict[str, str]) -> None:
    for name, subjects in (("ann", ["ann"]), ("bob", ["bob"]), ("boss", ["ann", "bob"])):
        async with AsyncClient(shared.service.address, tenant=TENANT, api_key=keys[name]) as client:
            found = await client.usage()
            assert [each.subject for each in found.usage] == subjects
            assert found.next_page_token == ""
            for each in found.usage:
                assert (each.date, each.tenant, each.engine) == (today(), TENANT, "scripted")
                assert (each.queries, each.failed, each.rows, each.bytes_scanned) == (2, 1, 7, 640)
                assert each.engine_seconds > 0
                assert each.bytes_stored > 0
            other = "bob" if name == "ann" else "ann"
            asked = await client.usage(subject=other)
            assert [each.subject for each in asked.usage] == ([other] if name == "boss" else [])
            with pytest.raises(AccessDenied, match="admin"):
                await client.usage(all_tenants=True)


async def test_an_admin_sees_all_tenants(shared: Keyed, keys: dict[str, str]) -> None:
    assert keys
    other = shared.by(ADMIN.text, tenant="elsewhere")
    assert (await other.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED

    def asked() -> list[str]:
        with Client(shared.service.address, tenant=TENANT, api_key=ADMIN.text) as client:
            found = client.usage(all_tenants=True, from_date=today(), to_date=today())
            return [each.tenant for each in found.usage]

    assert await asyncio.to_thread(asked) == [TENANT, TENANT, "elsewhere"]


async def test_days_and_pages_are_chosen(shared: Keyed, keys: dict[str, str]) -> None:
    boss = shared.by(keys["boss"])
    tomorrow, yesterday = today() + dt.timedelta(days=1), today() - dt.timedelta(days=1)

    def get(**fields: Any) -> Any:
        return boss.call("GetUsage", pb.GetUsageRequest(**fields))

    assert not (await get(from_date=tomorrow.isoformat(), to_date=tomorrow.isoformat())).usage
    assert not (await get(to_date=yesterday.isoformat())).usage
    first = await get(page_size=1)
    second = await get(page_size=1, page_token=first.next_page_token)
    assert [each.subject for page in (first, second) for each in page.usage] == ["ann", "bob"]
    assert not second.next_page_token
    wrong = {"from_date": "28.11.2026", "to_date": "2026-13-01", "page_token": "x", "page_size": -1}
    for field, value in wrong.items():
        refusal = await refused(get(**{field: value}))
        assert (refusal.reason, refusal.field) == ("INVALID_FIELD", field)


@pytest.mark.parametrize("output_format", ["table", "json", "csv"])
async def test_the_command_prints_it(shared: Keyed, keys: dict[str, str], output_format: str) -> None:
    header = f"authorization: ApiKey {keys['boss']}"
    words = ["usage", "--server", shared.service.address, "--header", header, "--format", output_format]
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    match output_format:
        case "json":
            rows = [json.loads(line) for line in lines]
        case "csv":
            rows = list(csv.DictReader(lines))
        case _:
            assert "bytes scanned" in lines[0]
            assert [name for name in ("ann", "bob") for line in lines[1:] if name in line] == ["ann", "bob"]
            return
    assert [(row["date"], row["subject"], int(row["queries"])) for row in rows] == [
        (today().isoformat(), "ann", 2),
        (today().isoformat(), "bob", 2),
    ]


async def test_the_command_refuses_what_is_no_date(shared: Keyed) -> None:
    words = ["usage", "--server", shared.service.address, "--since", "soon"]
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert done.exit_code == 2
    assert "--since takes a date" in done.output


async def test_an_api_key_with_a_label_has_limits_of_its_own(shared: Keyed) -> None:
    created = await (await shared.tenant_admin()).create(subject="ann", label="dashboards")
    principal = None
    async with grpc.aio.insecure_channel(shared.service.address) as channel:
        caller = Api(channel, TENANT)
        caller.metadata = (("authorization", f"ApiKey {created.secret}"),)
        done = await caller.script("rows 1", wait_timeout=WAIT)
        principal = done.status.query_id
    recorded = await shared.service.parts.state.store.get(TENANT, principal)
    assert recorded is not None
    assert recorded.submission.api_key == "dashboards"
    rows = await shared.service.parts.state.store.ledger.since(0)
    assert [each.queries for each in rows if each.api_key == "dashboards"] == [1]
