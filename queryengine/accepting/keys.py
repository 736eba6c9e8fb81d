"""Manages the API keys of a tenant: creates, lists, rotates and ends them.

Nobody gets roles by a key that it does not have itself: neither by creating one nor by rotating one, which shows a new
secret with the roles of the old key. To end a key is safe, so a tenant admin may end any key of its tenant but those of
a service admin.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from queryengine.domain.api_keys import ApiKey
from queryengine.domain.audit import Record, unrecorded
from queryengine.domain.clock import Clock
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.identity import Principal, Role
from queryengine.domain.key_text import new_key
from queryengine.policy.identity.key_index import KeyIndex
from queryengine.policy.rights import Right, require
from queryengine.store.keys import KeyFilter, KeyStore

GRACE_SECONDS_MAX: Final = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """What a new key shall be good for."""

    subject: str
    roles: frozenset[Role]
    label: str
    cidrs: tuple[str, ...]
    expire_us: int | None


class Created(NamedTuple):
    """A key, and its secret text for this once."""

    key: ApiKey
    text: str


class Keys:
    """The keys of all tenants; each call is about those of the principal's. What changes one also raises what its
    `record` raises.
    """

    def __init__(self, store: KeyStore, index: KeyIndex, clock: Clock) -> None:
        self._store = store
        self._index = index
        self._clock = clock

    async def create(self, principal: Principal, asked: KeyRequest, *, record: Record = unrecorded) -> Created:
        """Raises ROLE_MISSING, INVALID_FIELD for a time that is past, and API_KEY_LIMIT."""
        require(principal, Right.MANAGE_KEYS)
        _require_roles(principal, asked.roles)
        now_us = self._clock.now_us()
        self._check_expiry(asked.expire_us, now_us)
        new = new_key()
        key = ApiKey(
            key_id=new.key_id,
            tenant=principal.tenant,
            subject=asked.subject,
            roles=asked.roles,
            label=asked.label,
            cidrs=asked.cidrs,
            created_us=now_us,
            created_by=principal.subject,
            expire_us=asked.expire_us,
        )
        await record(key_id=key.key_id)
        await self._store.add(key, new.secret_hash, now_us=now_us)
        await self._index.follow_now()
        return Created(key, new.text)

    async def list(
        self,
        principal: Principal,
        *,
        subject: str,
        include_ended: bool,
        before: tuple[int, str] | None,
        limit: int,
    ) -> list[ApiKey]:
        """Newest first, those strictly before `before` by (created_us, key_id). Raises ROLE_MISSING."""
        require(principal, Right.MANAGE_KEYS)
        wanted = KeyFilter(subject=subject, working_at_us=None if include_ended else self._clock.now_us())
        return await self._store.list(principal.tenant, wanted, before=before, limit=limit)

    async def rotate(
        self,
        principal: Principal,
        key_id: str,
        *,
        grace_us: int,
        expire_us: int | None,
        record: Record = unrecorded,
    ) -> tuple[Created, ApiKey]:
        """A key in the place of another, which works on for the grace; and the other one. Without an expiry, the new
        key lasts as long as the old one was made to last.

        Raises ROLE_MISSING, API_KEY_NOT_FOUND for a key that does not work, INVALID_FIELD and API_KEY_LIMIT.
        """
        require(principal, Right.MANAGE_KEYS)
        old = await self._found(principal, key_id)
        _require_roles(principal, old.roles)
        now_us = self._clock.now_us()
        self._check_expiry(expire_us, now_us)
        if expire_us is None and old.expire_us is not None:
            expire_us = now_us + old.expire_us - old.created_us
        new = new_key()
        key = old.but(
            key_id=new.key_id,
            created_us=now_us,
            created_by=principal.subject,
            replaces=old.key_id,
            expire_us=expire_us,
            last_use_us=None,
        )
        if grace_us:
            until_us = now_us + grace_us
            old = old.but(expire_us=until_us if old.expire_us is None else min(until_us, old.expire_us))
        else:
            old = old.but(revoke_us=now_us)
        await record(key_id=key.key_id)
        if not await self._store.replace(old, key, new.secret_hash, now_us=now_us):
            raise _not_found()
        await self._index.follow_now()
        return Created(key, new.text), old

    async def revoke(self, principal: Principal, key_id: str, *, record: Record = unrecorded) -> ApiKey:
        """End a key now, or see that it has ended; the key as it is then. Raises ROLE_MISSING and API_KEY_NOT_FOUND."""
        require(principal, Right.MANAGE_KEYS)
        key = await self._found(principal, key_id)
        if Role.ADMIN in key.roles:
            _require_role(principal, Role.ADMIN)
        await record()
        now_us = self._clock.now_us()
        await self._store.end(key.but(revoke_us=now_us), now_us=now_us)
        await self._index.follow_now()
        return await self._found(principal, key_id)

    async def _found(self, principal: Principal, key_id: str) -> ApiKey:
        key = await self._store.get(principal.tenant, key_id) if key_id.isascii() and key_id.isalnum() else None
        if key is None:
            raise _not_found()
        return key

    def _check_expiry(self, expire_us: int | None, now_us: int) -> None:
        if expire_us is not None and expire_us <= now_us:
            raise error(Reason.INVALID_FIELD, "expire_time must be later than now", field="expire_time")


def _require_roles(principal: Principal, roles: frozenset[Role]) -> None:
    """That a principal may hand out these roles: its own. A role that restricts is one to keep. Raises ROLE_MISSING."""
    if Role.ADMIN in principal.roles:
        return
    for role in sorted(roles - {Role.NAMED_ONLY}):
        _require_role(principal, role)
    if Role.NAMED_ONLY in principal.roles and Role.NAMED_ONLY not in roles:
        message = f"the caller has the role {Role.NAMED_ONLY.value!r}, so a key of it must have that role, too"
        raise error(Reason.ROLE_MISSING, message, role=Role.ADMIN.value)


def _require_role(principal: Principal, role: Role) -> None:
    if role not in principal.roles:
        message = f"a key with the role {role.value!r} takes a caller that has this role itself"
        raise error(Reason.ROLE_MISSING, message, role=role.value)


def _not_found() -> QueryEngineError:
    return error(Reason.API_KEY_NOT_FOUND, "no such API key, or none that works")
