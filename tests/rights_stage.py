"""A service that asks who calls, a tenant with a query of each kind, and callers of each kind."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import jwt
from google.protobuf.message import Message

from queryengine.app.service import Service
from queryengine.domain.clock import SystemClock
from queryengine.domain.errors import Reason, error
from queryengine.domain.identity import Principal, Role
from queryengine.domain.key_text import new_key
from queryengine.edges.grpc.keys import ROLES as KEY_ROLES
from queryengine.edges.grpc.server import SERVICES
from queryengine.policy.identity import Presented
from queryengine.v1 import admin_service_pb2 as admin_pb
from queryengine.v1 import query_service_pb2 as pb
from tests.support import COMPLETED, WAIT, Refusal, new_id, serving
from tests.unit.jwt_keys import AUDIENCE, ISSUER, claims

SHARED = {"shared": "true"}
USER = frozenset({Role.SUBMIT, Role.READ, Role.CANCEL})
OK = "OK"
UNSEEN, DENIED, REUSED = "QUERY_NOT_FOUND", "ROLE_MISSING", "QUERY_ID_REUSED"
INVALID = "INVALID_FIELD"

CALLERS: Mapping[str, tuple[str, frozenset[Role]]] = {
    "user": ("ann", USER),
    "named_only": ("ann", USER | {Role.NAMED_ONLY}),
    "read_only": ("ann", frozenset({Role.READ})),
    "submit_only": ("ann", frozenset({Role.SUBMIT})),
    "cancel_only": ("ann", frozenset({Role.CANCEL})),
    "without_subject": ("", USER),
    "without_role": ("ann", frozenset()),
    "tenant_admin": ("boss", USER | {Role.TENANT_ADMIN}),
    "tenant_auditor": ("audit", frozenset({Role.READ, Role.TENANT_ADMIN})),
    "admin": ("root", USER | {Role.ADMIN}),
    "admin_role_alone": ("root", frozenset({Role.ADMIN})),
    "admin_from_elsewhere": ("root", USER | {Role.ADMIN}),
    "neighbour": ("ann", USER | {Role.TENANT_ADMIN}),
    "expired": ("ann", USER),
    "revoked": ("ann", USER),
    "nobody": ("", frozenset()),
}
"""By the name on its badge: the subject and roles of each kind of caller. All are of the same tenant, but for the
neighbour, who is the admin of another one, and the admin from elsewhere, who is an admin of a third and names this one.
"""
UNIDENTIFIED: Final = {"expired": "TOKEN_EXPIRED", "revoked": "CREDENTIAL_INVALID", "nobody": "CREDENTIAL_MISSING"}
KINDS: Final = ("own", "tenant", "nameless", "shared", "other", "random", "malformed")
"""Of ids: of a query of ann, of another user, of a caller without a subject, of another user who shares it, and of
another tenant; one that nobody has used; and what is no id.
"""


METHODS = {method.name: method for service in SERVICES for method in service.methods}


def method_of(rpc: str) -> Any:
    """The method of an entry, whose name may say more."""
    return METHODS[rpc.partition(" ")[0]]


class Badges:
    """An authenticator of the tests, for callers as no credential makes them: `authorization: Badge NAME TENANT`."""

    kind = "badge"
    expects = "a badge"
    by_certificate = False

    async def authenticate(self, presented: Presented) -> Principal | None:
        shown = presented.authorization()
        if shown is None or shown.scheme != "badge":
            return None
        name, _, tenant = shown.value.partition(" ")
        if name == "expired":
            raise error(Reason.TOKEN_EXPIRED, "it has expired")
        if name == "revoked":
            raise error(Reason.CREDENTIAL_INVALID, "it is revoked")
        subject, roles = CALLERS.get(name, (name, USER))
        return Principal(tenant=tenant, subject=subject, roles=roles, authenticator=self.kind)

    def still_valid(self, _: Principal) -> None:
        """Always."""


def script(text: str = "rows 3", **fields: Any) -> pb.SubmitRequest:
    return pb.SubmitRequest(sql=text, engine="scripted", wait_timeout=WAIT, **fields)


ADMIN_KEY = new_key()
TOKEN_SECRET: Final = "0123456789abcdef" * 4
WITHOUT_KEY: Final = ("nobody", "without_subject", "without_role", "expired")
"""No key is without a subject or roles, and one that has expired is refused as one that is none."""
WITHOUT_TOKEN: Final = ("nobody", "without_subject", "revoked")


@asynccontextmanager
async def guarded_service(folder: Path, secrets: Path) -> AsyncIterator[Service]:
    """A service that asks for tokens, API keys or badges, with their secrets in a folder."""
    (secrets / "admin").write_text(ADMIN_KEY.text)
    (secrets / "tokens").write_text(TOKEN_SECRET)
    tokens = {"type": "jwt", "issuer": ISSUER, "audience": [AUDIENCE], "algorithms": ["HS256"]}
    tokens["keys"] = [{"secret": f"file:{secrets / 'tokens'}"}]
    auth = {"authenticators": [tokens, {"type": "api_key", "admin_keys": [f"file:{secrets / 'admin'}"]}]}
    async with serving(folder, engines={"scripted": {"type": "scripted", "workers": 2}}, auth=auth) as service:
        authentication = service.parts.identity.authentication
        authentication.adopt([*authentication._authenticators, Badges()])
        # They begin when they are needed, which would look like the doing of a test.
        await service.parts.sandboxes.start_all()
        yield service


class Caller:
    """Somebody with a credential, or without."""

    def __init__(self, channel: grpc.aio.Channel, *metadata: tuple[str, str]) -> None:
        self._channel = channel
        self.metadata = metadata

    def open(self, rpc: str, request: Message) -> Any:
        """A call, begun."""
        method = method_of(rpc)
        kind = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        multicallable = kind(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=method.output_type._concrete_class.FromString,
        )
        return multicallable(request, metadata=self.metadata, timeout=60.0)

    async def call(self, rpc: str, request: Message) -> Any:
        """The reply, or the messages of a stream up to its end or, where it has none, up to the first."""
        call = self.open(rpc, request)
        if not method_of(rpc).server_streaming:
            return await call
        messages = []
        async for message in call:
            messages.append(message)
            if rpc == "WatchQueries":
                call.cancel()
                break
        return messages

    async def answer(self, rpc: str, request: Message) -> tuple[str, Refusal | None]:
        """The reason of a refusal, and all of it, or OK."""
        try:
            await self.call(rpc, request)
        except grpc.aio.AioRpcError as cause:
            refusal = Refusal.of(cause)
            return refusal.reason or refusal.code.name, refusal
        return OK, None

    async def submitted(self, **fields: Any) -> str:
        reply = await self.call("Submit", script(**fields))
        assert reply.status.state == COMPLETED
        return str(reply.status.query_id)


class Stage:
    """A tenant with a query of each kind, and who calls."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.tenant = f"tenant-{new_id()}"
        self._channel = channel
        self._credentials: dict[str, str] = {}
        self.ids: dict[str, str] = {}

    def caller(self, name: str) -> Caller:
        if name == "nobody":
            return Caller(self._channel)
        credential = self._credentials.get(name) or f"Badge {name} {self._home(name)}"
        elsewhere = [("x-tenant-id", self.tenant)] if name == "admin_from_elsewhere" else []
        return Caller(self._channel, ("authorization", credential), *elsewhere)

    def caller_with(self, key: str) -> Caller:
        """Whoever has an API key."""
        return Caller(self._channel, ("authorization", f"ApiKey {key}"))

    async def hand_out_keys(self) -> None:
        """API keys for all who can have one."""
        callers = {name: each for name, each in CALLERS.items() if name not in WITHOUT_KEY}
        for name, (subject, roles) in {**callers, "bob": ("bob", USER)}.items():
            tenant = ("x-tenant-id", self._home(name))
            admin = Caller(self._channel, ("authorization", f"ApiKey {ADMIN_KEY.text}"), tenant)
            asked = [key_roles for key_roles, role in KEY_ROLES.items() if role in roles]
            made = await admin.call("CreateApiKey", admin_pb.CreateApiKeyRequest(subject=subject, roles=asked))
            if name == "revoked":
                await admin.call("RevokeApiKey", admin_pb.RevokeApiKeyRequest(key_id=made.key.key_id))
            self._credentials[name] = f"ApiKey {made.secret}"

    def hand_out_tokens(self) -> None:
        """JSON Web Tokens for all who can have one."""
        now = SystemClock().now_us() / 1e6
        callers = {name: each for name, each in CALLERS.items() if name not in WITHOUT_TOKEN}
        for name, (subject, roles) in {**callers, "bob": ("bob", USER)}.items():
            said = claims(now - 3_600 if name == "expired" else now, tenant=self._home(name), sub=subject)
            text = jwt.encode({**said, "roles": sorted(roles)}, TOKEN_SECRET, algorithm="HS256")
            self._credentials[name] = f"Bearer {text}"

    def _home(self, name: str) -> str:
        """The tenant of a credential."""
        homes = {"neighbour": f"{self.tenant}-next", "admin_from_elsewhere": f"{self.tenant}-third"}
        return homes.get(name, self.tenant)

    async def set_up(self) -> None:
        self.ids = {
            "own": await self.caller("user").submitted(),
            "tenant": await self.caller("bob").submitted(),
            "nameless": await self.caller("without_subject").submitted(),
            "shared": await self.caller("bob").submitted(labels=SHARED),
            "other": await self.caller("neighbour").submitted(),
        }

    def id_of(self, kind: str) -> str:
        return self.ids.get(kind) or (new_id() if kind == "random" else "../../etc")
