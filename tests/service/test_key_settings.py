"""API keys by configuration: turned on, the key of the first admin, and both while the server runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from queryengine.app.service import Service
from queryengine.domain.key_text import new_key
from queryengine.domain.reloads import Trigger
from queryengine.settings import SettingsError, load
from queryengine.v1 import admin_service_pb2 as pb
from tests.keyed import KeyApi
from tests.settings_file import with_file, write_settings
from tests.support import Api, Gate, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST, SECOND = new_key(), new_key()


class Configured:
    """A settings file, and the file with the admin's key that it may name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key_file = folder / "admin.key"
        self.key_file.write_text(FIRST.text)

    def write(self, *authenticators: dict[str, Any]) -> Path:
        """With these, from the next load on."""
        return write_settings(self.folder, auth={"authenticators": list(authenticators)})

    @property
    def api_key(self) -> dict[str, Any]:
        return {"type": "api_key", "admin_keys": [f"file:{self.key_file}"]}


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    return Configured(tmp_path)


@asynccontextmanager
async def started(
    configured: Configured, *authenticators: dict[str, Any]
) -> AsyncIterator[tuple[Service, grpc.aio.Channel]]:
    async with (
        with_file(configured.folder, auth={"authenticators": list(authenticators)}) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        yield service, channel


async def test_another_admin_key_holds_once_its_file_was_loaded_again(configured: Configured) -> None:
    async with started(configured, configured.api_key) as (service, channel):
        first, second = KeyApi(channel, FIRST.text), KeyApi(channel, SECOND.text)
        gate = Gate(configured.folder / "gate")
        query_id = (await first.script(f"rows 5 size 100000; {gate.script}; rows 50 size 100000")).status.query_id
        await first.has_rows(query_id)
        stream = first.stream(query_id)
        await stream.to("page")
        assert not await second.works()
        configured.key_file.write_text(SECOND.text)
        assert (await service.reload(Trigger.SIGNAL)).last.changed == ("auth.authenticators",)
        assert await second.works()
        assert not await first.works()
        gate.open()
        assert (await refused(stream.all())).reason == "CREDENTIAL_INVALID"
        # What is no key changes nothing, and is not repeated.
        configured.key_file.write_text("correct horse battery staple")
        (mistake,) = (await service.reload(Trigger.SIGNAL)).last.mistakes
        assert "holds no API key; `queryengine keys generate` makes one" in mistake
        assert "horse" not in mistake
        assert await second.works()


async def test_keys_that_were_made_before_are_accepted_once_they_are_turned_on(configured: Configured) -> None:
    async with started(configured) as (service, channel):
        # Whoever may call without a credential is the admin of the tenant that it names.
        anybody = KeyApi(channel, "")
        anybody.metadata = (("x-tenant-id", "acme"),)
        made = await anybody.create(roles=[pb.ROLE_READ, pb.ROLE_TENANT_ADMIN])
        assert (await refused(anybody.create(roles=[pb.ROLE_ADMIN]))).metadata == {"role": "admin"}
        configured.write({"type": "api_key"})
        await service.reload(Trigger.SIGNAL)
        boss = KeyApi(channel, made.secret)
        assert await boss.works()
        assert (await refused(anybody.listed())).reason == "CREDENTIAL_MISSING"
        later = await boss.create(roles=[pb.ROLE_READ])
        assert await KeyApi(channel, later.secret).works()


async def test_a_bad_key_is_never_taken_for_no_credential(configured: Configured) -> None:
    async with started(configured, configured.api_key, {"type": "none"}) as (_, channel):
        await Api(channel, "acme").listed()
        for text, scheme in (
            (new_key().text, "ApiKey "),
            (new_key().text, "Bearer "),
            ("x", "ApiKey "),
            ("x", "Basic "),
        ):
            assert (await refused(KeyApi(channel, text, scheme=scheme).listed())).reason == "CREDENTIAL_INVALID"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"type": "api_key"}, {"type": "api_key"}], "expected `api_key` once"),
        ([{"type": "api_key", "admin_key": "file:/x"}], "admin_key: unknown key"),
        ([{"type": "api_key", "admin_keys": [FIRST.text]}], "expected file:/path"),
        ([{"type": "api_key", "admin_keys": ["env:QE_TEST_NO_SUCH"]}], "no variable QE_TEST_NO_SUCH"),
        ([{"type": "api_key", "admin_keys": ["file:/no/such"]}], "cannot be read"),
        ([{"type": "api_keys"}], "api_key"),
    ],
)
async def test_a_mistake_names_its_place(configured: Configured, entries: list[dict[str, Any]], said: str) -> None:
    path = configured.write(*entries)
    with pytest.raises(SettingsError) as mistake:
        load(str(path))
    text = str(mistake.value)
    assert text.startswith(f"{path}:")
    assert "auth.authenticators" in text
    assert said in text
    assert FIRST.text not in text
