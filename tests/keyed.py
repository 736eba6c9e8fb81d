"""A service in this process that takes API keys, and callers with keys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from queryengine.app.service import Service
from queryengine.domain.clock import SystemClock
from queryengine.domain.key_text import new_key
from queryengine.v1 import admin_service_pb2 as pb
from queryengine.v1 import admin_service_pb2_grpc as pb_grpc
from tests.support import Api, Refusal, serving

ADMIN = new_key()
ALL = [pb.ROLE_SUBMIT, pb.ROLE_READ, pb.ROLE_CANCEL]
CREATED = {"subject": "etl", "roles": ALL}


class KeyApi(Api):
    """Calls with a key."""

    def __init__(self, channel: grpc.aio.Channel, text: str, *, scheme: str = "ApiKey ", tenant: str = "") -> None:
        super().__init__(channel, tenant)
        self.admin = pb_grpc.AdminServiceStub(channel)
        self.metadata = (("authorization", scheme + text), *((("x-tenant-id", tenant),) if tenant else ()))

    def manage(self, method: str, request: Any) -> Any:
        return getattr(self.admin, method)(request, metadata=self.metadata, timeout=60)

    def create(self, **fields: Any) -> Any:
        return self.manage("CreateApiKey", pb.CreateApiKeyRequest(**{**CREATED, **fields}))

    def keys(self, **fields: Any) -> Any:
        return self.manage("ListApiKeys", pb.ListApiKeysRequest(**fields))

    def rotate(self, key_id: str, **fields: Any) -> Any:
        return self.manage("RotateApiKey", pb.RotateApiKeyRequest(key_id=key_id, **fields))

    def revoke(self, key_id: str) -> Any:
        return self.manage("RevokeApiKey", pb.RevokeApiKeyRequest(key_id=key_id))

    async def works(self) -> bool:
        """Whether the credential is accepted."""
        try:
            await self.listed()
        except grpc.aio.AioRpcError as cause:
            if Refusal.of(cause).reason == "CREDENTIAL_INVALID":
                return False
            raise
        return True


@dataclass
class Settable(SystemClock):
    """A wall clock that a test moves ahead."""

    ahead_us: int = 0

    def now_us(self) -> int:
        return super().now_us() + self.ahead_us


@dataclass(frozen=True)
class Keyed:
    """A service that takes API keys, and a caller with all rights in one tenant."""

    service: Service
    channel: grpc.aio.Channel
    clock: Settable
    admin: KeyApi

    def by(self, text: str, **given: str) -> KeyApi:
        return KeyApi(self.channel, text, **given)

    async def tenant_admin(self, tenant: str = "acme", *roles: int) -> KeyApi:
        admin = self.by(ADMIN.text, tenant=tenant)
        made = await admin.create(subject="boss", roles=[*ALL, pb.ROLE_TENANT_ADMIN, *roles])
        return self.by(made.secret)


@asynccontextmanager
async def keyed(folder: Path, **groups: Any) -> AsyncIterator[Keyed]:
    """With its state in a folder, and the admin's key in a file beside that; `groups` are those of `serving`."""
    admin_key_file = folder.with_name(f"{folder.name}-admin-key")
    admin_key_file.write_text(f"{ADMIN.text}\n")
    auth = {"authenticators": [{"type": "api_key", "admin_keys": [f"file:{admin_key_file}"]}]}
    clock = Settable()
    async with (
        serving(folder, clock=clock, auth=auth, **groups) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        await channel.channel_ready()
        yield Keyed(service, channel, clock, KeyApi(channel, ADMIN.text, tenant="acme"))
