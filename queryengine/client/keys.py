"""API keys: the calls that manage them, and what a client learns of a key."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import duration_pb2, timestamp_pb2

from queryengine.client.arguments import Seconds, choices, flag, moment, seconds, text, whole
from queryengine.client.brief import Brief
from queryengine.client.calls import Call
from queryengine.client.errors import QueryEngineClientError
from queryengine.domain.identity import Role
from queryengine.v1 import admin_service_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ApiKey(Brief):
    """One key, without its secret; the contract's ApiKey says what each field promises."""

    key_id: str
    tenant: str
    subject: str
    roles: tuple[Role, ...]
    label: str
    cidrs: tuple[str, ...]
    create_time: dt.datetime
    expire_time: dt.datetime | None
    last_use_time: dt.datetime | None
    revoke_time: dt.datetime | None
    created_by: str
    replaces: str
    """Id of the key that this one replaces; empty for one that was created."""


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key that was made, and its secret, which the service does not keep."""

    key: ApiKey
    secret: str = field(repr=False)
    """For `authorization: ApiKey <secret>`."""
    replaced: ApiKey | None = None
    """The key in whose place it is, as that is now; None for one that was created."""


@dataclass(frozen=True, slots=True)
class ApiKeyList:
    """Some keys, the newest first."""

    keys: tuple[ApiKey, ...]
    next_page_token: str
    """Where to go on; empty at the end."""


def create(
    subject: str, roles: Iterable[Role | str], *, label: str, cidrs: Sequence[str], expires: dt.datetime | None
) -> Call[NewApiKey]:
    """Raises ValueError and TypeError that name an argument and what it takes."""
    if isinstance(cidrs, str):
        raise TypeError(f"cidrs takes a list: [{cidrs!r}]")
    request = pb.CreateApiKeyRequest(
        subject=text("subject", subject),
        roles=[f"ROLE_{role.name}" for role in choices("roles", roles, Role)],
        label=text("label", label),
        cidrs=[text("cidrs", cidr) for cidr in cidrs],
        expire_time=_timestamp("expires", expires),
    )
    return Call("CreateApiKey", request, pb.CreateApiKeyResponse, _created)


def list_keys(*, subject: str, include_ended: bool, page_size: int, page_token: str) -> Call[ApiKeyList]:
    request = pb.ListApiKeysRequest(
        page_size=whole("page_size", page_size, bits=32),
        page_token=text("page_token", page_token),
        subject=text("subject", subject),
        include_ended=flag("include_ended", include_ended),
    )
    return Call("ListApiKeys", request, pb.ListApiKeysResponse, _listed)


def rotate(key_id: str, *, grace: Seconds, expires: dt.datetime | None) -> Call[NewApiKey]:
    whole_seconds, nanos = divmod(round(seconds("grace", grace) * 1e9), 1_000_000_000)
    request = pb.RotateApiKeyRequest(
        key_id=text("key_id", key_id),
        grace=duration_pb2.Duration(seconds=whole_seconds, nanos=nanos),
        expire_time=_timestamp("expires", expires),
    )
    return Call("RotateApiKey", request, pb.RotateApiKeyResponse, _rotated)


def revoke(key_id: str) -> Call[ApiKey]:
    return Call(
        "RevokeApiKey", pb.RevokeApiKeyRequest(key_id=text("key_id", key_id)), pb.RevokeApiKeyResponse, _revoked
    )


def _created(reply: pb.CreateApiKeyResponse) -> NewApiKey:
    return NewApiKey(_key(reply.key), reply.secret)


def _rotated(reply: pb.RotateApiKeyResponse) -> NewApiKey:
    return NewApiKey(_key(reply.key), reply.secret, _key(reply.replaced))


def _revoked(reply: pb.RevokeApiKeyResponse) -> ApiKey:
    return _key(reply.key)


def _listed(reply: pb.ListApiKeysResponse) -> ApiKeyList:
    return ApiKeyList(tuple(_key(key) for key in reply.keys), reply.next_page_token)


def _key(message: pb.ApiKey) -> ApiKey:
    """Raises QueryEngineClientError for a role of a newer contract."""
    return ApiKey(
        key_id=message.key_id,
        tenant=message.tenant,
        subject=message.subject,
        roles=tuple(_role(number) for number in message.roles),
        label=message.label,
        cidrs=tuple(message.cidrs),
        create_time=message.create_time.ToDatetime(dt.UTC),
        expire_time=_time(message, "expire_time"),
        last_use_time=_time(message, "last_use_time"),
        revoke_time=_time(message, "revoke_time"),
        created_by=message.created_by,
        replaces=message.replaces,
    )


def _role(number: int) -> Role:
    name = pb.Role.Name(number).removeprefix("ROLE_") if number in pb.Role.values() else str(number)
    if name not in Role.__members__:
        raise QueryEngineClientError(f"the server sent the role {name}, which this client does not know")
    return Role[name]


def _time(message: Any, name: str) -> dt.datetime | None:
    return getattr(message, name).ToDatetime(dt.UTC) if message.HasField(name) else None


def _timestamp(name: str, value: dt.datetime | None) -> timestamp_pb2.Timestamp | None:
    if value is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(moment(name, value))
    return stamp
