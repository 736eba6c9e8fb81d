"""The record of API keys. What a method changed is durable when it returns; whoever accepts keys follows the changes by
their numbers, whichever server made them.

All raise STORE_UNAVAILABLE, to be tried again, while the database cannot be used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from queryengine.domain.api_keys import ENDED_KEYS_MAX, KEYS_MAX, ApiKey
from queryengine.domain.errors import Reason, error
from queryengine.domain.identity import Role
from queryengine.store.prepared import Prepared
from queryengine.store.reader import Reader
from queryengine.store.rows import plain
from queryengine.store.tables import API_KEY_CHANGES, API_KEYS
from queryengine.store.writer import Writer

_K: Final = API_KEYS.c
_COLUMNS: Final = (
    _K.key_id,
    _K.tenant,
    _K.subject,
    _K.roles,
    _K.label,
    _K.cidrs,
    _K.created_us,
    _K.created_by,
    _K.replaces,
    _K.expire_us,
    _K.revoke_us,
    _K.last_use_us,
)


def _bind(name: str) -> sa.BindParameter[Any]:
    # A value now, or compiling ahead of running refuses.
    return sa.bindparam(name, value=None)


_CHANGE: Final = sa.select(API_KEY_CHANGES.c["count"]).scalar_subquery()
_MINE: Final = (_K.tenant == _bind("key_tenant"), _K.key_id == _bind("key_key_id"))
_ALIVE: Final = (_K.revoke_us.is_(None), sa.or_(_K.expire_us.is_(None), _K.expire_us > _bind("now_us")))

COUNT_CHANGE: Final = Prepared(sa.update(API_KEY_CHANGES).values(count=API_KEY_CHANGES.c["count"] + 1))
INSERT: Final = Prepared(
    sa.insert(API_KEYS).values(
        {**{column.name: _bind(column.name) for column in (*_COLUMNS, _K.end_us, _K.secret_hash)}, "change": _CHANGE}
    ),
)
GET: Final = Prepared(sa.select(*_COLUMNS).where(*_MINE))
_IS_ALIVE: Final = sa.and_(*_ALIVE)
_COUNTS: Final[tuple[sa.ColumnElement[Any], ...]] = (sa.func.count(), sa.func.count(sa.case((_IS_ALIVE, 1))))
COUNTS_OF: Final = Prepared(sa.select(*_COUNTS).where(_K.tenant == _bind("key_tenant")))
DELETE_OLDEST_OF: Final = Prepared(
    sa.delete(API_KEYS).where(
        _K.key_id.in_(
            sa.select(_K.key_id)
            .where(_K.tenant == _bind("key_tenant"), sa.not_(_IS_ALIVE))
            .order_by(_K.end_us)
            .limit(_bind("count"))
        )
    )
)
END: Final = Prepared(
    sa.update(API_KEYS)
    .where(*_MINE, *_ALIVE)
    .values(revoke_us=_bind("revoke_us"), expire_us=_bind("expire_us"), end_us=_bind("end_us"), change=_CHANGE)
)
NOTE_USE: Final = Prepared(
    sa.update(API_KEYS).where(_K.key_id == _bind("key_key_id")).values(last_use_us=_bind("last_use_us"))
)
CHANGED: Final = Prepared(
    sa.select(
        _K.change,
        _K.secret_hash,
        _K.key_id,
        _K.tenant,
        _K.subject,
        _K.roles,
        _K.cidrs,
        # Clocks of servers differ, and are set back: a key that was revoked has ended, whenever that was.
        sa.case((_K.revoke_us.is_not(None), 0), else_=_K.expire_us),
        _K.label,
    )
    .where(_K.change > _bind("after"))
    .order_by(_K.change)
    .limit(_bind("count"))
)
DELETE_ENDED: Final = Prepared(
    sa.delete(API_KEYS)
    .where(
        _K.key_id.in_(
            sa.select(_K.key_id).where(_K.end_us < _bind("ended_before_us")).order_by(_K.end_us).limit(_bind("count"))
        )
    )
    .returning(_K.key_id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFilter:
    """Which keys of a tenant are wanted."""

    subject: str = ""
    working_at_us: int | None = None
    """Only those that work then."""


class KeyStore:
    """The keys of all tenants."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def add(self, key: ApiKey, secret_hash: bytes, *, now_us: int) -> None:
        """Raises API_KEY_LIMIT when as many keys of the tenant work as may."""
        await self._writer.write(lambda connection: _add(connection, key, secret_hash, now_us))

    async def replace(self, old: ApiKey, new: ApiKey, secret_hash: bytes, *, now_us: int) -> bool:
        """Write a new key, and end the old one as `old` says. False, and nothing is written, when that does not work
        any more. Raises as `add`.
        """

        def replace(connection: sa.Connection) -> bool:
            if not _end(connection, old, now_us):
                return False
            _add(connection, new, secret_hash, now_us)
            return True

        return await self._writer.write(replace)

    async def end(self, key: ApiKey, *, now_us: int) -> bool:
        """End a key as it says; False when it did not work any more."""
        return await self._writer.write(lambda connection: _end(connection, key, now_us))

    async def get(self, tenant: str, key_id: str) -> ApiKey | None:
        values = {"key_tenant": tenant, "key_key_id": key_id}
        row = await self._reader.read(lambda connection: GET.run(connection, values).one_or_none())
        return None if row is None else _to_key(row)

    async def list(
        self, tenant: str, wanted: KeyFilter, *, before: tuple[int, str] | None = None, limit: int
    ) -> list[ApiKey]:
        """Newest first by (created_us, key_id), those strictly before `before`."""
        select = sa.select(*_COLUMNS).where(_K.tenant == tenant)
        if wanted.subject:
            select = select.where(_K.subject == wanted.subject)
        if wanted.working_at_us is not None:
            is_going_on = sa.or_(_K.expire_us.is_(None), _K.expire_us > wanted.working_at_us)
            select = select.where(_K.revoke_us.is_(None), is_going_on)
        if before is not None:
            select = select.where(sa.tuple_(_K.created_us, _K.key_id) < (before[0], plain(before[1])))
        select = select.order_by(_K.created_us.desc(), _K.key_id.desc()).limit(limit)
        return await self._reader.read(lambda connection: [_to_key(row) for row in connection.execute(select)])

    async def changed(self, after: int, limit: int) -> Sequence[tuple[Any, ...]]:
        """Keys of all tenants whose last change has a larger number, in the order of these: (change, secret_hash,
        key_id, tenant, subject, roles, cidrs, end_us). The end is 0 for a key that was revoked; roles and cidrs are
        texts that `words` takes apart. Plain tuples, as a server with many keys holds all of them.
        """
        values = {"after": after, "count": limit}
        return await self._reader.read(
            lambda connection: [tuple(row) for row in CHANGED.run(connection, values)],
        )

    async def note_uses(self, used_us: Mapping[str, int]) -> None:
        """Remember when keys were last used, by their ids."""

        def note(connection: sa.Connection) -> None:
            for key_id, last_use_us in used_us.items():
                NOTE_USE.run(connection, {"key_key_id": key_id, "last_use_us": last_use_us})

        await self._writer.write(note)

    async def delete_ended_before(self, end_us: int, limit: int) -> int:
        """Forget up to `limit` keys that ended before that time, those first that ended first; how many they were."""
        values = {"ended_before_us": end_us, "count": limit}
        return await self._writer.write(lambda connection: len(list(DELETE_ENDED.run(connection, values))))


def words(text: str) -> tuple[str, ...]:
    """What a column holds between spaces."""
    return tuple(text.split())


def _add(connection: sa.Connection, key: ApiKey, secret_hash: bytes, now_us: int) -> None:
    values = {"key_tenant": key.tenant, "now_us": now_us}
    ((every, alive),) = COUNTS_OF.run(connection, values)
    if alive >= KEYS_MAX:
        message = f"the tenant has {alive} API keys that work, and may have {KEYS_MAX}; revoke some"
        raise error(Reason.API_KEY_LIMIT, message, limit=KEYS_MAX)
    if (surplus := every - alive - ENDED_KEYS_MAX) > 0:
        DELETE_OLDEST_OF.run(connection, {**values, "count": surplus})
    COUNT_CHANGE.run(connection, {})
    INSERT.run(connection, {**_to_row(key), "secret_hash": secret_hash})


def _end(connection: sa.Connection, key: ApiKey, now_us: int) -> bool:
    COUNT_CHANGE.run(connection, {})
    row = _to_row(key)
    values = {name: row[name] for name in ("revoke_us", "expire_us", "end_us")}
    values |= {"key_tenant": key.tenant, "key_key_id": key.key_id, "now_us": now_us}
    return END.run(connection, values).rowcount == 1


def _to_row(key: ApiKey) -> dict[str, Any]:
    ends = [time_us for time_us in (key.expire_us, key.revoke_us) if time_us is not None]
    return {
        "key_id": key.key_id,
        "tenant": key.tenant,
        "subject": key.subject,
        "roles": " ".join(sorted(key.roles)),
        "label": key.label,
        "cidrs": " ".join(key.cidrs),
        "created_us": key.created_us,
        "created_by": key.created_by,
        "replaces": key.replaces,
        "expire_us": key.expire_us,
        "revoke_us": key.revoke_us,
        "last_use_us": key.last_use_us,
        "end_us": min(ends, default=None),
    }


def _to_key(row: Sequence[Any]) -> ApiKey:
    values = dict(zip((column.name for column in _COLUMNS), row, strict=True))
    roles, cidrs = words(values.pop("roles")), words(values.pop("cidrs"))
    return ApiKey(**values, roles=frozenset(Role(word) for word in roles), cidrs=cidrs)
