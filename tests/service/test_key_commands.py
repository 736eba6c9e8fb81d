"""`queryengine keys` and the Python clients against a server that takes API keys."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from queryengine.cli.exits import ExitCode
from queryengine.cli.main import app
from queryengine.client import AsyncClient, Client, NotFound, Role
from queryengine.domain.key_text import key_id_of
from tests.keyed import ADMIN, Keyed, keyed

pytestmark = pytest.mark.asyncio(loop_scope="session")

TENANT = "acme"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory, shared_folders: set[str]) -> AsyncIterator[Keyed]:
    folder = tmp_path_factory.mktemp("keyed")
    async with keyed(folder) as found:
        shared_folders.add(str(folder))
        # They begin when they are needed, which would look like the doing of a test.
        await found.service.parts.sandboxes.start_all()
        yield found
    shared_folders.discard(str(folder))


async def run(shared: Keyed, *words: str, key: str = ADMIN.text) -> Any:
    header = f"authorization: ApiKey {key}"
    options = ["--server", shared.service.address, "--tenant", TENANT, "--header", header]
    return await asyncio.to_thread(CliRunner().invoke, app, ["keys", *words, *options])


async def test_a_key_is_made_listed_rotated_and_revoked(shared: Keyed) -> None:
    words = (
        "--label",
        "nightly loads",
        "--cidr",
        "127.0.0.0/8",
        "--expires",
        "90d",
        "--role",
        "submit",
        "--role",
        "read",
    )
    made = await run(shared, "create", "etl", "--label", "nightly loads", *words)
    assert made.exit_code == 0, made.stderr
    secret = made.stdout.strip()
    key_id = key_id_of(secret)
    assert key_id is not None
    assert f"key {key_id} of etl in tenant acme: submit, read; expires 20" in made.stderr
    assert secret not in made.stderr
    assert await shared.by(secret).works()

    table = await run(shared, "list")
    for shown in (key_id, "etl", "submit, read", "nightly loads", "127.0.0.0/8", "expires 20"):
        assert shown in table.stdout
    assert secret.rpartition("_")[2] not in table.stdout

    rotated = await run(shared, "rotate", key_id, "--grace", "1h", "--json")
    found = json.loads(rotated.stdout)
    assert (found["replaces"], found["replaced"]["key_id"]) == (key_id, key_id)
    assert await shared.by(secret).works()
    assert await shared.by(found["secret"]).works()

    revoked = await run(shared, "revoke", found["key_id"])
    assert revoked.stdout.startswith(f"key {found['key_id']} of etl in tenant acme: submit, read; revoked ")
    assert not await shared.by(found["secret"]).works()
    lines = [json.loads(line) for line in (await run(shared, "list", "--all", "--json")).stdout.splitlines()]
    assert {found["key_id"], key_id} <= {line["key_id"] for line in lines}
    assert all("secret" not in line for line in lines)


async def test_no_keys_are_said_to_be_none(shared: Keyed) -> None:
    create = "in tenant acme; to create one: queryengine keys create nobody"
    for words, which in (((), " that work"), (("--all",), "")):
        done = await run(shared, "list", "--subject", "nobody", *words)
        assert done.stdout == ""
        assert " ".join(done.stderr.split()).startswith(f"no API keys of nobody{which} {create}")
    quiet = await run(shared, "list", "--subject", "nobody", "--json")
    assert (quiet.stdout, quiet.stderr) == ("", "")


async def test_a_key_may_submit_read_and_cancel_unless_it_is_said_otherwise(shared: Keyed) -> None:
    made = json.loads((await run(shared, "create", "plain", "--json")).stdout)
    assert made["roles"] == ["submit", "read", "cancel"]
    assert "expire_time" not in made


async def test_keys_in_files_are_all_that_a_chain_of_people_needs(shared: Keyed, tmp_path: Path) -> None:
    """As docs/security.md has it: nobody but the first admin names a tenant."""

    async def command(*words: str, key: Path) -> str:
        options = ["--server", shared.service.address, "--api-key-file", str(key)]
        done = await asyncio.to_thread(CliRunner().invoke, app, [*words, *options])
        assert done.exit_code == 0, done.stderr
        return str(done.stdout)

    admin, alice, etl = (tmp_path / f"{name}.key" for name in ("admin", "alice", "etl"))
    admin.write_text(f"{ADMIN.text}\n")
    roles = [word for role in ("tenant_admin", "submit", "read", "cancel") for word in ("--role", role)]
    alice.write_text(await command("keys", "create", "alice", *roles, "--tenant", "chain", key=admin))
    etl.write_text(await command("keys", "create", "etl", "--expires", "90d", "--cidr", "127.0.0.0/8", key=alice))
    submitted = (await shared.by(etl.read_text().strip()).script("rows 1")).status.query_id
    assert submitted[:8] in await command("ps", "--all", key=etl)
    listed = [json.loads(line) for line in (await command("keys", "list", "--json", key=alice)).splitlines()]
    assert [(key["subject"], key["tenant"], key["created_by"]) for key in listed] == [
        ("etl", "chain", "alice"),
        ("alice", "chain", "operator"),
    ]
    etl.write_text(await command("keys", "rotate", listed[0]["key_id"], "--grace", "1h", key=alice))
    assert submitted[:8] in await command("ps", "--all", key=etl)
    await command("keys", "revoke", str(key_id_of(etl.read_text().strip())), key=alice)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("create", "etl", "--role", "root"), ExitCode.USAGE, "root"),
        (("create", "etl", "--expires", "soon"), ExitCode.USAGE, "'soon' is not a duration"),
        (("create", "etl", "--cidr", "here"), ExitCode.USAGE, "INVALID_FIELD"),
        (("revoke", "0" * 12), ExitCode.NOT_FOUND, "API_KEY_NOT_FOUND"),
        (("rotate", "0" * 12), ExitCode.NOT_FOUND, "API_KEY_NOT_FOUND"),
        (("revoke", ADMIN.text), ExitCode.USAGE, "not the whole key"),
    ],
)
async def test_a_mistake_says_what_to_do(shared: Keyed, words: tuple[str, ...], code: int, said: str) -> None:
    done = await run(shared, *words)
    assert done.exit_code == code
    assert said in done.stderr
    assert ADMIN.text not in done.output


async def test_generate_makes_a_key_without_a_server(tmp_path: Path) -> None:
    made = [CliRunner().invoke(app, ["keys", "generate"]).stdout for _ in range(2)]
    assert all(key_id_of(text.strip()) for text in made)
    assert made[0] != made[1]


async def test_the_client_for_asyncio_manages_keys(shared: Keyed) -> None:
    metadata = (("authorization", f"ApiKey {ADMIN.text}"),)
    async with AsyncClient(shared.service.address, tenant="aio", metadata=metadata) as client:
        later = datetime.fromtimestamp(shared.clock.now_us() // 1_000_000, UTC) + timedelta(days=1)
        made = await client.create_api_key("svc", [Role.READ, "submit"], label="x", cidrs=["::/0"], expires=later)
        assert made.key.roles == (Role.SUBMIT, Role.READ)
        assert (made.key.expire_time, made.key.cidrs, made.replaced) == (later, ("::/0",), None)
        assert made.secret not in repr(made)
        rotated = await client.rotate_api_key(made.key.key_id, grace=timedelta(minutes=1))
        assert rotated.replaced is not None
        assert rotated.replaced.key_id == made.key.key_id
        first = await client.list_api_keys(subject="svc", page_size=1)
        second = await client.list_api_keys(subject="svc", page_size=1, page_token=first.next_page_token)
        assert [key.key_id for key in (*first.keys, *second.keys)] == [rotated.key.key_id, made.key.key_id]
        assert (await client.revoke_api_key(made.key.key_id)).revoke_time is not None
        with pytest.raises(NotFound):
            await client.revoke_api_key("0" * 12)


async def test_the_client_that_blocks_manages_keys(shared: Keyed) -> None:
    def manage() -> str:
        metadata = (("authorization", f"ApiKey {ADMIN.text}"),)
        with Client(shared.service.address, tenant="sync", metadata=metadata) as client:
            made = client.create_api_key("svc", ["read"])
            assert client.list_api_keys().keys == (made.key,)
            return client.rotate_api_key(made.key.key_id).secret

    assert await shared.by(await asyncio.to_thread(manage)).works()


@pytest.mark.parametrize(
    "arguments",
    [
        {"subject": 1, "roles": ["read"]},
        {"subject": "x", "roles": "read"},
        {"subject": "x", "roles": ["root"]},
        {"subject": "x", "roles": ["read"], "cidrs": "::/0"},
        {"subject": "x", "roles": ["read"], "expires": datetime(2030, 1, 1)},  # noqa: DTZ001 - That is the mistake.
    ],
)
async def test_what_cannot_be_sent_is_refused_by_name(arguments: dict[str, Any]) -> None:
    async with AsyncClient() as client:
        with pytest.raises((TypeError, ValueError), match=r"subject|roles|cidrs|expires"):
            await client.create_api_key(**arguments)
