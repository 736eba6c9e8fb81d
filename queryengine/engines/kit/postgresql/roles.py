"""Roles of PostgreSQL in which statements run: that of the connection, or one for each tenant."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from queryengine.domain.errors import Reason, error

Ask = Callable[[str, Sequence[str]], list[list[bytes | None]]]

_SERVER: Final = """
SELECT rolname::text AS name FROM pg_catalog.pg_roles
WHERE rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
AND pg_catalog.pg_has_role($1, oid, 'MEMBER')
UNION ALL SELECT 'execute dblink' FROM pg_catalog.pg_proc
WHERE proname = 'dblink_connect' AND pg_catalog.has_function_privilege($1, oid, 'EXECUTE')
"""
"""What lets a query that only reads reach files and networks of the server. A superuser has all."""

_OTHERS: Final = """
SELECT rolname::text FROM pg_catalog.pg_roles
WHERE (rolname IN ('pg_signal_backend', 'pg_read_all_stats') OR rolname = current_user)
AND pg_catalog.pg_has_role($1, oid, 'MEMBER')
"""
"""What lets a role see and end the statements of others."""

_USABLE: Final = (
    "SELECT pg_catalog.pg_has_role(current_user, oid, 'MEMBER') FROM pg_catalog.pg_roles WHERE rolname = $1"
)


def refuse_reaching_out(ask: Ask, roles: Mapping[str, str]) -> None:
    """Raises ValueError when the connection's role, or that of a tenant, reaches files or networks of the server."""
    [[own]] = ask("SELECT current_user::text", ())
    for role in {(own or b"").decode(), *roles.values()}:
        if found := [(name or b"").decode() for [name] in ask(_SERVER, (role,))]:
            raise ValueError(
                f"with role {role!r} SQL can reach files or networks of the server ({', '.join(found)}); "
                "connect as one that only reads, or set option 'allow_privileged_role'"
            )


def refuse_unusable(ask: Ask, roles: Mapping[str, str]) -> None:
    """Raises ValueError when a tenant's role is not there, or does not part it from other tenants."""
    for tenant, role in roles.items():
        where = f"option 'roles', tenant {tenant!r}: role {role!r}"
        if ask(_USABLE, (role,)) != [[b"t"]]:
            raise ValueError(f"{where} does not exist, or was not granted to the role of the connection")
        if found := [(name or b"").decode() for [name] in ask(_OTHERS, (role,))]:
            raise ValueError(f"{where} sees and ends statements of other tenants, as a member of {', '.join(found)}")


def role_of(tenant: str, roles: Mapping[str, str]) -> str:
    """Empty where tenants have no roles. Raises STATEMENT_NOT_ALLOWED for a tenant without one where others have."""
    if roles and tenant not in roles:
        message = f"tenant {tenant!r} has no role in this engine; its operator names one in option 'roles'"
        raise error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type="SELECT")
    return roles.get(tenant, "")
