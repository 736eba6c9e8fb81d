"""Settings of the transaction in which a statement runs: ours, and those that a session may choose."""

from typing import Final

from queryengine.domain.errors import Reason, error
from queryengine.engines.base import Statement
from queryengine.engines.kit.session_settings import check_settings
from queryengine.engines.postgresql.enforcement import identity
from queryengine.engines.postgresql.options import APPLICATION

SESSION_SETTINGS: Final = ("TimeZone", "jit", "max_parallel_workers_per_gather", "work_mem")
CLIENT_CHECK: Final = "client_connection_check_interval"
CLIENT_CHECK_INTERVAL: Final = "1s"
"""How often a running statement looks whether we are still there, so that it ends by itself when our process is killed.
Since PostgreSQL 14.
"""
_TIMEOUT_MAX_MILLISECONDS: Final = 2**31 - 1


def transaction_settings(statement: Statement, timeout_milliseconds: int) -> dict[str, str]:
    """Those of a statement, and who asks where the database has to know."""
    return {
        "statement_timeout": str(min(timeout_milliseconds, _TIMEOUT_MAX_MILLISECONDS)),
        "application_name": f"{APPLICATION} {statement.query_id}",
        "datestyle": "ISO",
        "bytea_output": "hex",
        # Where a string ends is for nobody else to decide: statements are counted by it.
        "standard_conforming_strings": "on",
        **statement.session_settings,
        **(identity(statement) if statement.enforced is not None else {}),
    }


def check_home(statement: Statement) -> None:
    """Raises UNSUPPORTED for a catalog, and for settings that a session may not choose."""
    if statement.catalog:
        message = "PostgreSQL has one database per connection; this engine cannot set a catalog"
        raise error(Reason.UNSUPPORTED, message, feature="catalog")
    check_settings(statement, SESSION_SETTINGS)
