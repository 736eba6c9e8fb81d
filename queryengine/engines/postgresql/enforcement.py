"""Row security of PostgreSQL's own: it is given who asks, in settings of the query's transaction, and has to be in
force for the role in which the query runs.

Policies of the database read `current_setting('queryengine.tenant', true)` and `current_setting('queryengine.subject',
true)`. No statement can set them: that takes `set_config` or SET, which are refused.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from queryengine.domain.analysis import Name
from queryengine.domain.errors import Reason, error
from queryengine.engines.base import Statement
from queryengine.engines.postgresql.arrays import array_of

TENANT: Final = "queryengine.tenant"
SUBJECT: Final = "queryengine.subject"
NOT_CALLED: Final = frozenset({"set_config"})
"""Functions that no statement may call where the settings say who asks, whatever is allowed by name."""
_NOT_IN_FORCE: Final = """
SELECT asked.table_schema || '.' || asked.table_name AS table_name
FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS asked (table_schema, table_name)
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = asked.table_schema
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = asked.table_name
WHERE NOT coalesce(pg_catalog.row_security_active(c.oid), false)
"""


def identity(statement: Statement) -> dict[str, str]:
    """Settings that say who asks."""
    return {TENANT: statement.tenant, SUBJECT: statement.subject}


def require_row_security(tables: Sequence[Name], query: Callable[[str, Sequence[str]], list[dict[str, Any]]]) -> None:
    """Raises RELATION_NOT_ALLOWED for a table that the role of this transaction reads without row security, as a
    superuser, its owner, or one with BYPASSRLS does.
    """
    rows = query(_NOT_IN_FORCE, [array_of(path[-2] for path in tables), array_of(path[-1] for path in tables)])
    if rows:
        table = rows[0]["table_name"]
        message = (
            f"row security of the database is not in force for table {table}; the operator of the service has to "
            "enable it for the role in which the service reads"
        )
        raise error(Reason.RELATION_NOT_ALLOWED, message, relation=table)
