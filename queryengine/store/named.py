"""The record of named queries. What a method changed is durable when it returns.

All raise STORE_UNAVAILABLE, to be tried again, while the database cannot be used. A missing name, or a deleted one,
raises NAMED_QUERY_NOT_FOUND where it is to be changed.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.identity import Role
from queryengine.domain.named_queries import (
    DEFINITION_BYTES_MAX,
    DELETED_NAMES_MAX,
    NAMES_MAX,
    TAGS_MAX,
    VERSIONS_MAX,
    Definition,
    Found,
    NamedQuery,
    Version,
)
from queryengine.store.named_rows import BRIEF, WHOLE, to_named, to_version, version_row
from queryengine.store.reader import Reader
from queryengine.store.tables import NAMED_QUERIES, NAMED_QUERY_TAGS, NAMED_QUERY_VERSIONS, QUERIES
from queryengine.store.writer import Writer

_N: Final = NAMED_QUERIES.c
_V: Final = NAMED_QUERY_VERSIONS.c
_T: Final = NAMED_QUERY_TAGS.c

FORGOTTEN_NAMES: Final = 100
"""At a time."""


class NamedQueryStore:
    """The named queries of all tenants."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def create(self, tenant: str, name: str, definition: Definition, *, now_us: int, by: str) -> Found:
        """Version 1, or the next one of a deleted name. An equal definition that is there already is returned as it is.
        Raises NAMED_QUERY_EXISTS and NAMED_QUERY_LIMIT.
        """

        def create(connection: sa.Connection) -> Found:
            old = _named(connection, tenant, name, with_deleted=True)
            if old is not None and old.delete_us is None:
                version = _version(connection, old, old.latest)
                if version is not None and version.definition == definition:
                    return Found(old, version)
                message = f"there is a named query {name!r}, with another definition; update it, or choose another name"
                raise error(Reason.NAMED_QUERY_EXISTS, message, version=old.latest)
            alive = _count(connection, NAMED_QUERIES, _N.tenant == tenant, _N.delete_us.is_(None))
            _require_room("named queries", alive, NAMES_MAX)
            number = 1 if old is None else old.latest + 1
            named = NamedQuery(tenant=tenant, name=name, latest=number, roles=definition.roles)
            values = {"latest": number, "roles": _words(named.roles), "delete_us": None}
            if old is None:
                connection.execute(sa.insert(NAMED_QUERIES).values(tenant=tenant, name=name, **values))
            else:
                connection.execute(sa.update(NAMED_QUERIES).where(*_is(NAMED_QUERIES, tenant, name)).values(values))
            return _added(connection, named, definition, now_us, by)

        return await self._write(create, definition)

    async def update(
        self, tenant: str, name: str, definition: Definition, *, expected: int, now_us: int, by: str
    ) -> Found:
        """The version after the expected one, which must be the newest, or be followed by an equal definition of the
        same subject alone, which is returned as it is. Raises NAMED_QUERY_CHANGED and NAMED_QUERY_LIMIT.
        """

        def update(connection: sa.Connection) -> Found:
            old = _require(connection, tenant, name)
            if old.latest == expected + 1:
                version = _version(connection, old, old.latest)
                if version is not None and (version.definition, version.created_by) == (definition, by):
                    return Found(old, version)
            number = old.latest + 1  # of which the store has one, while any number may be expected
            changed = connection.execute(
                sa.update(NAMED_QUERIES)
                .where(
                    *_is(NAMED_QUERIES, tenant, name),
                    _N.latest == expected,
                    _N.latest == old.latest,
                    _N.delete_us.is_(None),
                )
                .values(latest=number, roles=_words(definition.roles))
            )
            if changed.rowcount != 1:
                message = (
                    f"version {old.latest} of {name!r} is the newest, not {expected}: "
                    "read it, and update it again with what it changed"
                )
                raise error(Reason.NAMED_QUERY_CHANGED, message, version=old.latest)
            kept = _count(connection, NAMED_QUERY_VERSIONS, *_is(NAMED_QUERY_VERSIONS, tenant, name))
            _require_room("versions", kept, VERSIONS_MAX)
            named = NamedQuery(tenant=tenant, name=name, latest=number, tags=old.tags, roles=definition.roles)
            return _added(connection, named, definition, now_us, by)

        return await self._write(update, definition)

    async def _write(self, change: Any, definition: Definition) -> Found:
        found: Found = await self._writer.write(change, size=definition.record_bytes())
        return found

    async def get(self, tenant: str, name: str, *, with_deleted: bool = False) -> NamedQuery | None:
        return await self._reader.read(
            lambda connection: _named(connection, tenant, name, with_deleted=with_deleted),
        )

    async def version(self, named: NamedQuery, number: int) -> Version | None:
        """One version with its SQL; None for a number that is not there."""
        return await self._reader.read(lambda connection: _version(connection, named, number))

    async def list(
        self, tenant: str, *, prefix: str, after: str, roles: Iterable[Role] | None, limit: int
    ) -> list[Found]:
        """In the order of names, from the first behind `after` on: each in its newest version, without its SQL. With
        `roles`, those that somebody with these roles may run.
        """
        same = sa.and_(_V.tenant == _N.tenant, _V.name == _N.name, _V.version == _N.latest)
        select = (
            sa.select(*NAMED_QUERIES.c, *BRIEF)
            .select_from(sa.join(NAMED_QUERIES, NAMED_QUERY_VERSIONS, same))
            .where(_N.tenant == tenant, _N.delete_us.is_(None), _N.name > after)
            .order_by(_N.name)
            .limit(limit)
        )
        if prefix:
            select = select.where(_N.name >= prefix, _N.name < prefix + "\x7f")
        if roles is not None:
            spaced = sa.literal(" ") + _N.roles + " "
            select = select.where(sa.or_(_N.roles == "", *(spaced.contains(f" {role} ") for role in roles)))

        def listed(connection: sa.Connection) -> list[Found]:
            rows = connection.execute(select).all()
            names = [row[1] for row in rows]
            tags: dict[str, dict[str, int]] = {name: {} for name in names}
            wanted = sa.select(_T.name, _T.tag, _T.version).where(_T.tenant == tenant, _T.name.in_(names))
            for name, tag, version in connection.execute(wanted):
                tags[name][tag] = version
            width = len(NAMED_QUERIES.c)
            return [Found(to_named(row[:width], tags[row[1]]), to_version(row[width:])) for row in rows]

        return await self._reader.read(listed)

    async def versions(self, named: NamedQuery, *, before: int | None, limit: int) -> Sequence[Version]:
        """Newest first, those below `before`, without their SQL."""
        select = sa.select(*BRIEF).where(*_is(NAMED_QUERY_VERSIONS, named.tenant, named.name))
        if before is not None:
            select = select.where(_V.version < before)
        select = select.order_by(_V.version.desc()).limit(limit)
        return await self._reader.read(lambda connection: [to_version(row) for row in connection.execute(select)])

    async def tag(self, tenant: str, name: str, tag: str, number: int) -> Found:
        """Point a tag at a version, which is returned. Raises NAMED_QUERY_NOT_FOUND also for an unknown version, and
        NAMED_QUERY_LIMIT.
        """

        def point(connection: sa.Connection) -> Found:
            named = _require(connection, tenant, name)
            version = _version(connection, named, number)
            if version is None:
                raise error(Reason.NAMED_QUERY_NOT_FOUND, f"{name!r} has no version {number}")
            where = _is(NAMED_QUERY_TAGS, tenant, name)
            if tag in named.tags:
                connection.execute(sa.update(NAMED_QUERY_TAGS).where(*where, _T.tag == tag).values(version=number))
            else:
                _require_room("tags", len(named.tags), TAGS_MAX)
                values = {"tenant": tenant, "name": name, "tag": tag, "version": number}
                connection.execute(sa.insert(NAMED_QUERY_TAGS).values(values))
            return Found(_require(connection, tenant, name), version)

        return await self._writer.write(point)

    async def untag(self, tenant: str, name: str, tag: str) -> Found:
        """Take a tag away; the newest version is returned."""

        def take(connection: sa.Connection) -> Found:
            where = _is(NAMED_QUERY_TAGS, tenant, name)
            connection.execute(sa.delete(NAMED_QUERY_TAGS).where(*where, _T.tag == tag))
            named = _require(connection, tenant, name)
            version = _version(connection, named, named.latest)
            assert version is not None, "the newest version of a name is always there"
            return Found(named, version)

        return await self._writer.write(take)

    async def delete(self, tenant: str, name: str, *, now_us: int) -> int:
        """End a name, with its tags and those versions that no query refers to; how many are kept. Raises
        NAMED_QUERY_NOT_FOUND for a name that never was.
        """

        def delete(connection: sa.Connection) -> int:
            named = _named(connection, tenant, name, with_deleted=True)
            if named is None:
                raise _not_found()
            if named.delete_us is None:
                where = _is(NAMED_QUERIES, tenant, name)
                connection.execute(sa.update(NAMED_QUERIES).where(*where).values(delete_us=now_us))
                connection.execute(sa.delete(NAMED_QUERY_TAGS).where(*_is(NAMED_QUERY_TAGS, tenant, name)))
                _forget_surplus(connection, tenant)
            where = _is(NAMED_QUERY_VERSIONS, tenant, name)
            connection.execute(sa.delete(NAMED_QUERY_VERSIONS).where(*where, ~_IS_USED))
            return _count(connection, NAMED_QUERY_VERSIONS, *where)

        return await self._writer.write(delete)

    async def forget_unused(self) -> int:
        """Remove versions of some deleted names that no query refers to any more; how many they were. Writes nothing
        where there are none.
        """
        is_same = sa.and_(_V.tenant == _N.tenant, _V.name == _N.name)
        left = sa.exists().where(is_same, ~_IS_USED)
        select = sa.select(_N.tenant, _N.name).where(_N.delete_us.is_not(None), left).limit(FORGOTTEN_NAMES)
        found = await self._reader.read(lambda connection: [tuple(row) for row in connection.execute(select)])
        if not found:
            return 0

        def forget(connection: sa.Connection) -> int:
            count = 0
            for tenant, name in found:
                named = _named(connection, tenant, name, with_deleted=True)
                # It may have been created again meanwhile.
                if named is not None and named.delete_us is not None:
                    where = _is(NAMED_QUERY_VERSIONS, tenant, name)
                    count += connection.execute(sa.delete(NAMED_QUERY_VERSIONS).where(*where, ~_IS_USED)).rowcount
            return count

        return await self._writer.write(forget)


_IS_USED: Final = sa.exists().where(
    QUERIES.c.tenant == _V.tenant,
    QUERIES.c.named_query == _V.name + "@" + sa.cast(_V.version, sa.Text),
    # Literal, so that the planner sees that the partial index applies.
    sa.text("queries.named_query <> ''"),
)


def _is(table: sa.Table, tenant: str, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (table.c.tenant == tenant, table.c.name == name)


def _count(connection: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one()


def _named(connection: sa.Connection, tenant: str, name: str, *, with_deleted: bool) -> NamedQuery | None:
    row = connection.execute(sa.select(*NAMED_QUERIES.c).where(*_is(NAMED_QUERIES, tenant, name))).one_or_none()
    if row is None or (row[-1] is not None and not with_deleted):
        return None
    tags = connection.execute(sa.select(_T.tag, _T.version).where(*_is(NAMED_QUERY_TAGS, tenant, name)))
    return to_named(row, dict(tuple(row) for row in tags))


def _require(connection: sa.Connection, tenant: str, name: str) -> NamedQuery:
    named = _named(connection, tenant, name, with_deleted=False)
    if named is None:
        raise _not_found()
    return named


def _version(connection: sa.Connection, named: NamedQuery, number: int) -> Version | None:
    where = _is(NAMED_QUERY_VERSIONS, named.tenant, named.name)
    row = connection.execute(sa.select(*WHOLE).where(*where, _V.version == number)).one_or_none()
    return None if row is None else to_version(row)


def _added(connection: sa.Connection, named: NamedQuery, definition: Definition, now_us: int, by: str) -> Found:
    used = connection.scalar(sa.select(sa.func.sum(_V.bytes)).where(_V.tenant == named.tenant)) or 0
    size = definition.record_bytes()
    if used + size > DEFINITION_BYTES_MAX:
        message = f"the named queries of the tenant take {used} bytes, and may take {DEFINITION_BYTES_MAX}; delete some"
        raise error(Reason.NAMED_QUERY_LIMIT, message, limit=DEFINITION_BYTES_MAX, of="bytes")
    version = Version(number=named.latest, definition=definition, created_us=now_us, created_by=by)
    connection.execute(sa.insert(NAMED_QUERY_VERSIONS).values(version_row(named, version)))
    return Found(named, version)


def _forget_surplus(connection: sa.Connection, tenant: str) -> None:
    """Of too many deleted names, forget those that were deleted first and have no version that is kept."""
    is_deleted = (_N.tenant == tenant, _N.delete_us.is_not(None))
    surplus = _count(connection, NAMED_QUERIES, *is_deleted) - DELETED_NAMES_MAX
    if surplus <= 0:
        return
    has_versions = sa.exists().where(_V.tenant == _N.tenant, _V.name == _N.name)
    oldest = sa.select(_N.name).where(*is_deleted, ~has_versions).order_by(_N.delete_us).limit(surplus)
    connection.execute(sa.delete(NAMED_QUERIES).where(_N.tenant == tenant, _N.name.in_(oldest)))


def _require_room(of: str, used: int, limit: int) -> None:
    if used >= limit:
        message = f"there are {used} {of} already, and there may be {limit}; delete some"
        raise error(Reason.NAMED_QUERY_LIMIT, message, limit=limit, of=of)


def _words(roles: Sequence[Role] | frozenset[Role]) -> str:
    return " ".join(sorted(roles))


def _not_found() -> QueryEngineError:
    return error(Reason.NAMED_QUERY_NOT_FOUND, "no such named query")
