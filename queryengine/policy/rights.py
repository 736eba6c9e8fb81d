"""What a principal may do: the role that each use case takes, and which queries of its tenant it sees and may change.

READ, SUBMIT and CANCEL say what somebody does, TENANT_ADMIN and ADMIN whose queries that may be: none of them includes
another one. Every use case asks here, so that every edge has the same rights. Decides at once, from what it is given.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from queryengine.domain.errors import Reason, error
from queryengine.domain.identity import Principal, Role
from queryengine.domain.query import Query
from queryengine.domain.viewer import Viewer


class Right(StrEnum):
    """What a use case takes."""

    SUBMIT_TEXT = "submit_text"
    """Run SQL text of one's own."""
    SUBMIT_NAMED = "submit_named"
    """Run named queries."""
    SEE_NAMED = "see_named"
    """Named queries, as far as one may run them."""
    MANAGE_NAMED = "manage_named"
    """Create, update, tag and delete named queries, and see all of them."""
    READ = "read"
    """See queries, and read their rows."""
    CHANGE = "change"
    """Cancel queries, release their rows or keep them for longer."""
    SEE_ENGINES = "see_engines"
    REFRESH_ENGINE = "refresh_engine"
    """Shows names of whatever lies in the folder, and what has changed there since anybody asked."""
    MANAGE_KEYS = "manage_keys"
    """API keys of the tenant."""
    CONFIGURE = "configure"
    """See the configuration of the server, and have it loaded."""


ROLES: Final[Mapping[Right, tuple[Role, ...]]] = MappingProxyType(
    {
        Right.SUBMIT_TEXT: (Role.SUBMIT,),
        Right.SUBMIT_NAMED: (Role.SUBMIT,),
        Right.SEE_NAMED: (Role.READ, Role.SUBMIT, Role.TENANT_ADMIN, Role.ADMIN),
        Right.MANAGE_NAMED: (Role.TENANT_ADMIN, Role.ADMIN),
        Right.READ: (Role.READ,),
        Right.CHANGE: (Role.CANCEL,),
        Right.SEE_ENGINES: (Role.READ, *Role),
        Right.REFRESH_ENGINE: (Role.TENANT_ADMIN, Role.ADMIN),
        Right.MANAGE_KEYS: (Role.TENANT_ADMIN, Role.ADMIN),
        Right.CONFIGURE: (Role.ADMIN,),
    }
)
"""Any one of them will do; a refusal names the first."""

_WHOLE_TENANT: Final = (Role.TENANT_ADMIN, Role.ADMIN)
_TAKEN_BY_NAMED_ONLY: Final = frozenset({Right.SUBMIT_TEXT, Right.MANAGE_NAMED})
"""Whoever may run named queries alone must not make any of them."""


def has(principal: Principal, right: Right) -> bool:
    if right in _TAKEN_BY_NAMED_ONLY and Role.NAMED_ONLY in principal.roles:
        return False
    return not principal.roles.isdisjoint(ROLES[right])


def require(principal: Principal, right: Right) -> None:
    """Raises ROLE_MISSING. To be asked before anything is looked up, so that the answer depends on the caller alone."""
    if has(principal, right):
        return
    role = ROLES[right][0]
    if not principal.roles.isdisjoint(ROLES[right]):
        message = f"the role {Role.NAMED_ONLY.value!r} of the caller allows it to run named queries, and no SQL text"
    else:
        message = f"this call takes the role {role.value!r}, which the caller does not have"
    raise error(Reason.ROLE_MISSING, message, role=role.value)


def sees_named_text(principal: Principal) -> bool:
    """Whether the SQL of named queries is shown to a principal."""
    return Role.NAMED_ONLY not in principal.roles


def viewer(principal: Principal) -> Viewer | None:
    """Which queries of its tenant a principal sees; None for all of them. Whatever it does not see does not exist for
    it, with the role to read or without.
    """
    if not principal.roles.isdisjoint(_WHOLE_TENANT):
        return None
    return Viewer(principal.subject, sees_shared=Role.READ in principal.roles)


def may_change(principal: Principal, query: Query) -> bool:
    """Whether a query of the principal's tenant is its own to change: sharing a query lets others read it, no more."""
    if not principal.roles.isdisjoint(_WHOLE_TENANT):
        return True
    return Viewer(principal.subject, sees_shared=False).sees(query)


def require_change(principal: Principal, query: Query) -> None:
    """Of a query that the principal sees. Raises ROLE_MISSING."""
    if not may_change(principal, query):
        message = f"this query was submitted by another user; to change it takes the role {Role.TENANT_ADMIN.value!r}"
        raise error(Reason.ROLE_MISSING, message, role=Role.TENANT_ADMIN.value)
