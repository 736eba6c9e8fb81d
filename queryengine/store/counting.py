"""The triggers that keep the table of usage, in the words of each database."""

from typing import Final

import sqlalchemy as sa

_ADD: Final = (
    "INSERT INTO usage (tenant, bytes) VALUES (NEW.tenant, NEW.record_bytes)"
    " ON CONFLICT (tenant) DO UPDATE SET bytes = usage.bytes + excluded.bytes"
)
_TAKE: Final = "UPDATE usage SET bytes = bytes - OLD.record_bytes WHERE tenant = OLD.tenant"
_CHANGE: Final = "UPDATE usage SET bytes = bytes + NEW.record_bytes - OLD.record_bytes WHERE tenant = NEW.tenant"
_CHANGED: Final = "NEW.record_bytes <> OLD.record_bytes"

ON_SQLITE: Final = (
    f"CREATE TRIGGER usage_grows AFTER INSERT ON queries BEGIN {_ADD.replace('usage.bytes', 'bytes')}; END",
    f"CREATE TRIGGER usage_shrinks AFTER DELETE ON queries BEGIN {_TAKE}; END",
    f"CREATE TRIGGER usage_changes AFTER UPDATE OF record_bytes ON queries WHEN {_CHANGED} BEGIN {_CHANGE}; END",
)
# PostgreSQL has a trigger call a function.
_CALL: Final = "EXECUTE FUNCTION count_usage()"
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
)


def create_triggers(_: sa.MetaData, connection: sa.Connection, **_options: object) -> None:
    """As the migration that made them."""
    for statement in ON_POSTGRESQL if connection.dialect.name == "postgresql" else ON_SQLITE:
        connection.exec_driver_sql(statement)
