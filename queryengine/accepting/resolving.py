"""Puts the text of a named query, and values for its parameters, in the place of a reference to it."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from queryengine.domain.errors import Reason, error
from queryengine.domain.identity import Principal
from queryengine.domain.named_queries import Definition, Reference
from queryengine.domain.submission import Submission
from queryengine.policy.binding import Binding
from queryengine.policy.named import NamedIndex, not_found
from queryengine.policy.rights import Right, has


class Resolved(NamedTuple):
    """What a submission of a named query stands for."""

    submission: Submission
    """With the SQL and where it runs, its parameters and its limits."""
    named_query: str
    """As `name@version`."""


class Resolving:
    """Looks at a reference each time that it is submitted anew."""

    def __init__(self, index: NamedIndex, binding: Binding) -> None:
        self._index = index
        self._binding = binding

    async def resolve(self, principal: Principal, asked: Submission, *, leave_turn: Callable[[], None]) -> Resolved:
        """`leave_turn` is called before it waits for the record or a worker.

        Raises NAMED_QUERY_NOT_FOUND, also for one that the principal may not run; ROLE_MISSING instead when it manages
        named queries, so that it sees this one; PARAMETER_MISMATCH, and INVALID_FIELD for what the definition decides.
        """
        reference = Reference.of(asked.named_query)
        if reference is None:
            raise not_found()
        found = self._index.remembered(asked.tenant, reference)
        if found is None:
            leave_turn()
            found = await self._index.find(asked.tenant, reference)
        named, text = found.found.named, found.found.reference
        if not named.may_run(principal):
            if not has(principal, Right.MANAGE_NAMED):
                raise not_found()
            wanted = ", ".join(sorted(named.roles))
            message = f"to run {named.name!r} takes one of the roles {wanted}, of which the caller has none"
            raise error(Reason.ROLE_MISSING, message, role=min(named.roles))
        definition = found.definition
        _check_choices(asked, definition, text)
        parameters, types = await self._binding.bind(
            asked.tenant,
            found.declarations,
            asked.parameters or b"",
            is_positional=definition.is_positional,
            leave_turn=leave_turn,
        )
        submission = replace(
            asked,
            sql=definition.sql,
            parameters=parameters,
            parameter_types=types,
            engine_hint=definition.engine,
            catalog=definition.catalog,
            schema=definition.schema,
            session_settings=definition.session_settings,
            execution_timeout_ms=_smaller(asked.execution_timeout_ms, definition.execution_timeout_ms),
            row_limit=_smaller(asked.row_limit or None, definition.row_limit or None) or 0,
        )
        return Resolved(submission, text)


def _check_choices(asked: Submission, definition: Definition, text: str) -> None:
    """What a text means depends on where it runs and its dialect, so whoever may only run it may not choose those."""
    choices = {
        "engine": (asked.engine_hint, definition.engine),
        "catalog": (asked.catalog, definition.catalog),
        "schema": (asked.schema, definition.schema),
        "session_settings": (dict(asked.session_settings), dict(definition.session_settings)),
        "dialect": (asked.dialect, ""),
    }
    for field, (given, defined) in choices.items():
        if given and given != defined:
            message = f"{field} is decided by the named query {text}; leave it out"
            raise error(Reason.INVALID_FIELD, message, field=field)


def _smaller(asked: int | None, defined: int | None) -> int | None:
    return min((each for each in (asked, defined) if each is not None), default=None)
