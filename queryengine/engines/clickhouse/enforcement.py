"""Row policies of ClickHouse's own: they are given who asks, in settings of the query, and have to be there for the
tables that it reads.

Policies of the server read `getSetting('SQL_queryengine_tenant')`. No statement can set it, as all run with `readonly`
and those that policies of ours have rewritten have no SETTINGS.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from queryengine.domain.analysis import Name
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.base import Statement

_POLICED: Final = """
SELECT DISTINCT database, table FROM system.row_policies
WHERE database IN {databases:Array(String)} AND (apply_to_all AND NOT has(apply_to_except, currentUser())
OR hasAny(apply_to_list, arrayConcat([currentUser()], enabledRoles())))
"""
Ask = Callable[[str, Mapping[str, list[str]]], list[list[Any]]]


def identity(statement: Statement, names: Mapping[str, str]) -> dict[str, str]:
    """Settings that say who asks."""
    return {names["tenant"]: statement.tenant, names["subject"]: statement.subject}


def policed_tables(ask: Ask, tables: Sequence[Name]) -> frozenset[Name]:
    """Those of which the server shows its user some rows only. Raises what `ask` raises."""
    rows = ask(_POLICED, {"databases": sorted({path[0] for path in tables})})
    found = {(database, table) for database, table in rows}
    # A policy of a whole database has no name of a table.
    return frozenset(path for path in tables if path in found or (path[0], "") in found)


def require_policies(ask: Ask, tables: Sequence[Name], said: Mapping[str, str]) -> None:
    """`ask` has the settings of the query, of which `said` are those that say who asks.

    Raises RELATION_NOT_ALLOWED where the server has them otherwise, and for a table without policies.
    """
    settings = ", ".join(f"getSetting('{name}')" for name in said)
    try:
        found = ask(f"SELECT {settings}", {})
        policed = policed_tables(ask, tables)
    except QueryEngineError as cause:
        if cause.failure.reason in (Reason.STATEMENT_REJECTED, Reason.STATEMENT_NOT_ALLOWED):
            raise _refused(f"that cannot be checked: {cause.failure.message}", tables[0]) from cause
        raise
    if found != [list(said.values())]:
        raise _refused("the server has not taken over the settings that say who asks", tables[0])
    for path in tables:
        if path not in policed:
            raise _refused("it has none for the user of the service", path)


def _refused(why: str, path: Name) -> QueryEngineError:
    table = ".".join(path)
    message = (
        f"row policies of the server have to filter table {table}; {why}. The operator of the service has to mend it"
    )
    return error(Reason.RELATION_NOT_ALLOWED, message, relation=table)
