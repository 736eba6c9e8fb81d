"""The RPCs about API keys: parse, call the use case, convert."""

from collections.abc import Collection, Sequence
from ipaddress import ip_network
from typing import Final

from queryengine.accepting.keys import GRACE_SECONDS_MAX, KeyRequest, Keys
from queryengine.domain.api_keys import ApiKey
from queryengine.domain.identity import Role
from queryengine.edges.grpc.call import Caller, Unary
from queryengine.edges.grpc.convert import timestamp
from queryengine.edges.grpc.fields import choice, invalid, not_negative, rounded_up, seconds, short
from queryengine.edges.grpc.fitting import fitting
from queryengine.edges.grpc.page_tokens import list_token, listed_before
from queryengine.policy.identity.presented import NAME_FORM, is_name
from queryengine.v1 import admin_service_pb2 as pb

LIST_SIZE_DEFAULT: Final = 50
LIST_SIZE_MAX: Final = 1_000
CIDRS_MAX: Final = 32

ROLES: Final = {pb.Role.Value(f"ROLE_{each.name}"): each for each in Role}
"""By number in the contract."""


class KeyRpcs:
    """CreateApiKey, ListApiKeys, RotateApiKey and RevokeApiKey."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def behaviours(self) -> dict[str, Unary]:
        return {
            "CreateApiKey": self.create,
            "ListApiKeys": self.list,
            "RotateApiKey": self.rotate,
            "RevokeApiKey": self.revoke,
        }

    async def create(self, request: pb.CreateApiKeyRequest, caller: Caller) -> pb.CreateApiKeyResponse:
        created = await self._keys.create(caller.principal, to_key_request(request), record=caller.record)
        return pb.CreateApiKeyResponse(key=to_message(created.key), secret=created.text)

    async def list(self, request: pb.ListApiKeysRequest, caller: Caller) -> pb.ListApiKeysResponse:
        size = min(not_negative(request.page_size, "page_size") or LIST_SIZE_DEFAULT, LIST_SIZE_MAX)
        found = await self._keys.list(
            caller.principal,
            subject=_name(request.subject, "subject"),
            include_ended=request.include_ended,
            before=listed_before(request.page_token),
            limit=size + 1,
        )
        reply = pb.ListApiKeysResponse(keys=fitting(to_message(key) for key in found[:size]))
        if len(reply.keys) < len(found):
            last = found[len(reply.keys) - 1]
            reply.next_page_token = list_token(last.created_us, last.key_id)
        return reply

    async def rotate(self, request: pb.RotateApiKeyRequest, caller: Caller) -> pb.RotateApiKeyResponse:
        created, replaced = await self._keys.rotate(
            caller.principal,
            request.key_id,
            grace_us=int(seconds(request, "grace", 0.0, GRACE_SECONDS_MAX) * 1e6),
            expire_us=rounded_up(request, "expire_time"),
            record=caller.record,
        )
        return pb.RotateApiKeyResponse(key=to_message(created.key), secret=created.text, replaced=to_message(replaced))

    async def revoke(self, request: pb.RevokeApiKeyRequest, caller: Caller) -> pb.RevokeApiKeyResponse:
        revoked = await self._keys.revoke(caller.principal, request.key_id, record=caller.record)
        return pb.RevokeApiKeyResponse(key=to_message(revoked))


def to_key_request(request: pb.CreateApiKeyRequest) -> KeyRequest:
    if not request.subject:
        raise invalid("subject", "must name the user or service that is going to call with the key")
    roles = frozenset(choice(ROLES, role, "roles") for role in request.roles)
    if not roles - {Role.NAMED_ONLY}:
        raise invalid("roles", "must hold one at least that allows something")
    if not request.label.isprintable():
        raise invalid("label", "must be printable")
    return KeyRequest(
        subject=_name(request.subject, "subject"),
        roles=roles,
        label=short(request.label, "label"),
        cidrs=_cidrs(request.cidrs),
        expire_us=rounded_up(request, "expire_time"),
    )


def to_message(key: ApiKey) -> pb.ApiKey:
    return pb.ApiKey(
        key_id=key.key_id,
        tenant=key.tenant,
        subject=key.subject,
        roles=role_names(key.roles),
        label=key.label,
        cidrs=key.cidrs,
        create_time=timestamp(key.created_us),
        expire_time=timestamp(key.expire_us),
        last_use_time=timestamp(key.last_use_us),
        revoke_time=timestamp(key.revoke_us),
        created_by=key.created_by,
        replaces=key.replaces,
    )


def _name(text: str, field: str) -> str:
    if not is_name(text):
        raise invalid(field, f"must be {NAME_FORM}")
    return text


def _cidrs(texts: Sequence[str]) -> tuple[str, ...]:
    """In one form each. Raises INVALID_FIELD, also for an address inside a network where the network was meant."""
    if len(texts) > CIDRS_MAX:
        raise invalid("cidrs", f"holds {len(texts)} networks; at most {CIDRS_MAX} are taken")
    try:
        return tuple(dict.fromkeys(str(ip_network(text)) for text in texts))
    except ValueError as cause:
        raise invalid("cidrs", f"must hold networks such as 10.0.0.0/8: {cause}") from cause


def role_names(roles: Collection[Role]) -> list[str]:
    """As the contract names them, in its order."""
    return [f"ROLE_{each.name}" for each in ROLES.values() if each in roles]
