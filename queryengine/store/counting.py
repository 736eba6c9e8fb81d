"""The triggers that count in the tables of usage, in the words of each database: what records take, and what queries
that ended have used. A trigger counts in the transaction of the change, whatever made it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa

_ADD: Final = (
    "INSERT INTO usage (tenant, bytes) VALUES (NEW.tenant, NEW.record_bytes)"
    " ON CONFLICT (tenant) DO UPDATE SET bytes = usage.bytes + excluded.bytes"
)
_TAKE: Final = "UPDATE usage SET bytes = bytes - OLD.record_bytes WHERE tenant = OLD.tenant"
_CHANGE: Final = "UPDATE usage SET bytes = bytes + NEW.record_bytes - OLD.record_bytes WHERE tenant = NEW.tenant"
_CHANGED: Final = "NEW.record_bytes <> OLD.record_bytes"

# A query that refers to the result of another one did not run.
_IS_HIT: Final = "NEW.result_id <> NEW.query_id || '.' || NEW.attempt"
COUNTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "queries": "1",
        "failed": "CASE WHEN NEW.state = 'FAILED' THEN 1 ELSE 0 END",
        "cancelled": "CASE WHEN NEW.state = 'CANCELLED' THEN 1 ELSE 0 END",
        "cache_hits": f"CASE WHEN {_IS_HIT} THEN 1 ELSE 0 END",
        "engine_us": "CASE WHEN NEW.end_us > NEW.start_us THEN NEW.end_us - NEW.start_us ELSE 0 END",
        "rows": "NEW.rows",
        "bytes_stored": f"CASE WHEN {_IS_HIT} THEN 0 ELSE NEW.bytes END",
        "bytes_scanned": "coalesce(NEW.bytes_scanned, 0)",
        # Of those bytes, the ones of queries under row policies, which nobody but an operator is shown.
        "bytes_scanned_hidden": "CASE WHEN NEW.policy_version <> '' THEN coalesce(NEW.bytes_scanned, 0) ELSE 0 END",
    }
)
"""What is counted of a query that has ended, by column of usage_hours."""
_SPEND: Final = (
    f"INSERT INTO usage_hours (tenant, hour, subject, engine, api_key, {', '.join(COUNTED)}) VALUES"  # noqa: S608 - Ours.
    f" (NEW.tenant, NEW.end_us / 3600000000, NEW.subject, NEW.engine, NEW.api_key, {', '.join(COUNTED.values())})"
    " ON CONFLICT (tenant, hour, subject, engine, api_key) DO UPDATE SET "
    + ", ".join(f"{name} = usage_hours.{name} + excluded.{name}" for name in COUNTED)
)
_ENDS: Final = "OLD.end_us IS NULL AND NEW.end_us IS NOT NULL"

ON_SQLITE: Final = (
    f"CREATE TRIGGER usage_grows AFTER INSERT ON queries BEGIN {_ADD.replace('usage.bytes', 'bytes')}; END",
    f"CREATE TRIGGER usage_shrinks AFTER DELETE ON queries BEGIN {_TAKE}; END",
    f"CREATE TRIGGER usage_changes AFTER UPDATE OF record_bytes ON queries WHEN {_CHANGED} BEGIN {_CHANGE}; END",
    f"CREATE TRIGGER ends_count AFTER UPDATE OF end_us ON queries WHEN {_ENDS} BEGIN {_SPEND}; END",
    f"CREATE TRIGGER new_ends_count AFTER INSERT ON queries WHEN NEW.end_us IS NOT NULL BEGIN {_SPEND}; END",
)
# PostgreSQL has a trigger call a function.
_CALL: Final = "EXECUTE FUNCTION count_usage()"
_CALL_END: Final = "EXECUTE FUNCTION count_end()"
ON_POSTGRESQL: Final = (
    f"""
CREATE FUNCTION count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN {_ADD};
    ELSIF TG_OP = 'DELETE' THEN {_TAKE};
    ELSE {_CHANGE};
    END IF;
    RETURN NULL;
END
$$""",
    f"CREATE TRIGGER usage_grows AFTER INSERT ON queries FOR EACH ROW {_CALL}",
    f"CREATE TRIGGER usage_shrinks AFTER DELETE ON queries FOR EACH ROW {_CALL}",
    f"CREATE TRIGGER usage_changes AFTER UPDATE OF record_bytes ON queries FOR EACH ROW WHEN ({_CHANGED}) {_CALL}",
    f"CREATE FUNCTION count_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_SPEND}; RETURN NULL; END $$",
    f"CREATE TRIGGER ends_count AFTER UPDATE OF end_us ON queries FOR EACH ROW WHEN ({_ENDS}) {_CALL_END}",
    "CREATE TRIGGER new_ends_count AFTER INSERT ON queries FOR EACH ROW WHEN (NEW.end_us IS NOT NULL) " + _CALL_END,
)


def create_triggers(_: sa.MetaData, connection: sa.Connection, **_options: object) -> None:
    """As the migration that made them."""
    for statement in ON_POSTGRESQL if connection.dialect.name == "postgresql" else ON_SQLITE:
        connection.exec_driver_sql(statement)
