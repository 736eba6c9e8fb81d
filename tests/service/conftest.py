"""What tests of rights share: a service that asks who calls, and a tenant of it."""

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from queryengine.app.service import Service
from tests.rights_stage import Stage, guarded_service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory, shared_folders: set[str]) -> AsyncIterator[Service]:
    """A service that asks for tokens, API keys or badges."""
    folder = tmp_path_factory.mktemp("guarded")
    async with guarded_service(folder, tmp_path_factory.mktemp("secrets")) as service:
        shared_folders.add(str(folder))
        yield service
    shared_folders.discard(str(folder))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def connection(guarded: Service) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(guarded.address) as channel:
        await channel.channel_ready()
        yield channel


@pytest_asyncio.fixture(loop_scope="session")
async def stage(connection: grpc.aio.Channel, request: pytest.FixtureRequest) -> Stage:
    stage = Stage(connection)
    match getattr(request, "param", "badges"):
        case "keys":
            await stage.hand_out_keys()
        case "tokens":
            stage.hand_out_tokens()
    await stage.set_up()
    return stage
