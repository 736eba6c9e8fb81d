"""Who calls, from the metadata of a call."""

from collections.abc import Iterable
from typing import Final

from queryengine.domain.identity import Principal
from queryengine.edges.grpc.call import Call, Caller, Following
from queryengine.edges.grpc.fields import invalid

TENANT_KEY: Final = "x-tenant-id"
SUBJECT_KEY: Final = "x-user-id"
DEFAULT_TENANT: Final = "default"
NAME_CHARACTERS_MAX: Final = 128

Metadata = Iterable[tuple[str, str | bytes]] | None


async def identify(call: Call, following: Following) -> bytes | None:
    """The link that says who calls. Raises INVALID_FIELD."""
    metadata = call.context.invocation_metadata()
    tenant = _name(metadata, TENANT_KEY) or DEFAULT_TENANT
    call.caller = Caller(Principal(tenant=tenant, subject=_name(metadata, SUBJECT_KEY)))
    return await following(call)


def _name(metadata: Metadata, key: str) -> str:
    """What the metadata says under a key; empty without it. Twice is refused: a proxy may have added its own to what a
    client made up, and nobody knows which of them counts.
    """
    values = [str(value) for each, value in metadata or () if each == key]
    if not values:
        return ""
    if len(values) > 1:
        raise invalid(key, f"must be sent once, not {len(values)} times")
    value = values[0]
    # HTTP allows ASCII alone here, and gRPC reads bytes that are not UTF-8 as Latin-1: two tenants could have one name.
    if len(value) > NAME_CHARACTERS_MAX or not value.isascii() or not value.isprintable():
        raise invalid(key, f"must be at most {NAME_CHARACTERS_MAX} printable ASCII characters")
    return value
