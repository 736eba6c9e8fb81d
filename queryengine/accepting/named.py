"""Manages the named queries of a tenant: creates, updates, reads, lists, tags and deletes them.

A text is checked when it is handed in, by the engine's adapter and by the rules and policies that hold for its author;
when it runs, those that hold for whoever runs it apply.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from queryengine.codec.declarations import Declarations, differences
from queryengine.domain.audit import Record, unrecorded
from queryengine.domain.clock import Clock
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.identity import Principal
from queryengine.domain.named_queries import Definition, Found, NamedQuery, Reference, Version
from queryengine.domain.submission import Submission
from queryengine.policy.named import NamedIndex, not_found
from queryengine.policy.planner import Planner
from queryengine.policy.rights import Right, has, require, sees_named_text
from queryengine.store.named import NamedQueryStore


class NamedQueries:
    """Those of all tenants; each call is about those of the principal's. All raise ROLE_MISSING, and
    NAMED_QUERY_NOT_FOUND for a name that is not there or that the principal may neither run nor change.
    """

    def __init__(self, store: NamedQueryStore, index: NamedIndex, planner: Planner, clock: Clock) -> None:
        self._store = store
        self._index = index
        self._planner = planner
        self._clock = clock

    async def create(
        self,
        principal: Principal,
        name: str,
        definition: Definition,
        *,
        leave_turn: Callable[[], None],
        record: Record = unrecorded,
    ) -> Found:
        """Raises NAMED_QUERY_EXISTS, NAMED_QUERY_LIMIT, and what a Submit of the text raises; PARAMETER_MISMATCH when
        its placeholders are not the declared parameters.
        """
        require(principal, Right.MANAGE_NAMED)
        checked = await self._checked(principal, name, definition, leave_turn)
        await record()
        made = await self._store.create(
            principal.tenant, name, checked, now_us=self._clock.now_us(), by=principal.subject
        )
        return self._changed(made)

    async def update(
        self,
        principal: Principal,
        name: str,
        definition: Definition,
        *,
        expected: int,
        leave_turn: Callable[[], None],
        record: Record = unrecorded,
    ) -> Found:
        """Raises NAMED_QUERY_CHANGED, and as `create`."""
        require(principal, Right.MANAGE_NAMED)
        checked = await self._checked(principal, name, definition, leave_turn)
        await record()
        made = await self._store.update(
            principal.tenant, name, checked, expected=expected, now_us=self._clock.now_us(), by=principal.subject
        )
        return self._changed(made)

    async def get(self, principal: Principal, reference: Reference) -> Found:
        """The version that a reference stands for; of a deleted name, by its number, for whoever may change it."""
        named = await self._seen(principal, reference.name)
        number = named.version_of(reference)
        if number is None or (named.delete_us is not None and reference.version is None):
            raise not_found()
        version = await self._store.version(named, number)
        if version is None:
            raise not_found()
        if not sees_named_text(principal):
            version = replace(version, definition=replace(version.definition, sql=""))
        return Found(named, version)

    async def list(self, principal: Principal, *, prefix: str, after: str, limit: int) -> list[Found]:
        """In the order of names, behind `after`, without their SQL."""
        require(principal, Right.SEE_NAMED)
        roles = None if has(principal, Right.MANAGE_NAMED) else principal.roles
        return await self._store.list(principal.tenant, prefix=prefix, after=after, roles=roles, limit=limit)

    async def versions(
        self, principal: Principal, name: str, *, before: int | None, limit: int
    ) -> tuple[NamedQuery, Sequence[Version]]:
        """The name, and its versions below `before`, newest first, without their SQL."""
        named = await self._seen(principal, name)
        return named, await self._store.versions(named, before=before, limit=limit)

    async def delete(self, principal: Principal, name: str, *, record: Record = unrecorded) -> int:
        """How many versions are kept, as queries refer to them."""
        require(principal, Right.MANAGE_NAMED)
        await record()
        kept = await self._store.delete(principal.tenant, name, now_us=self._clock.now_us())
        self._index.forget(principal.tenant, name)
        return kept

    async def tag(
        self, principal: Principal, name: str, tag: str, version: int, *, record: Record = unrecorded
    ) -> Found:
        """Raises NAMED_QUERY_NOT_FOUND also for an unknown version, and NAMED_QUERY_LIMIT."""
        require(principal, Right.MANAGE_NAMED)
        await record()
        return self._changed(await self._store.tag(principal.tenant, name, tag, version))

    async def untag(self, principal: Principal, name: str, tag: str, *, record: Record = unrecorded) -> Found:
        require(principal, Right.MANAGE_NAMED)
        await record()
        return self._changed(await self._store.untag(principal.tenant, name, tag))

    async def _seen(self, principal: Principal, name: str) -> NamedQuery:
        require(principal, Right.SEE_NAMED)
        manages = has(principal, Right.MANAGE_NAMED)
        named = await self._store.get(principal.tenant, name, with_deleted=manages)
        if named is None or not (manages or named.may_run(principal)):
            raise not_found()
        return named

    def _changed(self, made: Found) -> Found:
        self._index.forget(made.named.tenant, made.named.name)
        return made

    async def _checked(
        self, principal: Principal, name: str, definition: Definition, leave_turn: Callable[[], None]
    ) -> Definition:
        """The definition of a text that may run where it would be routed to, and how its values are bound."""
        submission = Submission(
            tenant=principal.tenant,
            subject=principal.subject,
            sql=definition.sql,
            named_query=name,
            engine_hint=definition.engine,
            catalog=definition.catalog,
            schema=definition.schema,
            session_settings=definition.session_settings,
            execution_timeout_ms=definition.execution_timeout_ms,
            row_limit=definition.row_limit,
        )
        outline = self._planner.outline(principal, submission)
        _, analysis = await self._planner.complete(principal, submission, outline, leave_turn=leave_turn)
        names = Declarations.of(definition.parameters).names
        placeholders = analysis.placeholders
        if placeholders is None:
            return definition
        is_positional = bool(placeholders) and all(each.isdigit() for each in placeholders)
        wanted = [str(number + 1) for number in range(len(names))] if is_positional else names
        if found := dict(differences(wanted, placeholders)):
            message = "the declared parameters are not the placeholders of the SQL; "
            message += "; ".join(f"{which}: {text}" for which, text in found.items())
            raise QueryEngineError(Failure(Reason.PARAMETER_MISMATCH, message, found))
        return replace(definition, is_positional=is_positional)
