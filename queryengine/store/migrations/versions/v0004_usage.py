"""What the records of each tenant take; parameters of ended queries are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ADD = (
    "INSERT INTO usage (tenant, bytes) VALUES (NEW.tenant, NEW.record_bytes)"
    " ON CONFLICT (tenant) DO UPDATE SET bytes = bytes + excluded.bytes"
)
_TAKE = "UPDATE usage SET bytes = bytes - OLD.record_bytes WHERE tenant = OLD.tenant"
_CHANGED = "AFTER UPDATE OF record_bytes ON queries WHEN NEW.record_bytes <> OLD.record_bytes"
_CHANGE = "UPDATE usage SET bytes = bytes + NEW.record_bytes - OLD.record_bytes WHERE tenant = NEW.tenant"


# PostgreSQL has its triggers call a function. No database of it has records of an earlier version.
_COUNT = """
CREATE FUNCTION count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO usage (tenant, bytes) VALUES (NEW.tenant, NEW.record_bytes)
        ON CONFLICT (tenant) DO UPDATE SET bytes = usage.bytes + excluded.bytes;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE usage SET bytes = bytes - OLD.record_bytes WHERE tenant = OLD.tenant;
    ELSE
        UPDATE usage SET bytes = bytes + NEW.record_bytes - OLD.record_bytes WHERE tenant = NEW.tenant;
    END IF;
    RETURN NULL;
END
$$
"""
_CALL = "FOR EACH ROW EXECUTE FUNCTION count_usage()"
_CALL_CHANGED = "FOR EACH ROW WHEN (NEW.record_bytes <> OLD.record_bytes) EXECUTE FUNCTION count_usage()"


def upgrade() -> None:
    op.add_column("queries", sa.Column("record_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "usage",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_COUNT)
        op.execute(f"CREATE TRIGGER usage_grows AFTER INSERT ON queries {_CALL}")
        op.execute(f"CREATE TRIGGER usage_shrinks AFTER DELETE ON queries {_CALL}")
        op.execute(f"CREATE TRIGGER usage_changes AFTER UPDATE OF record_bytes ON queries {_CALL_CHANGED}")
    else:
        _count_on_sqlite()


def _count_on_sqlite() -> None:
    op.execute("UPDATE queries SET parameters = x'' WHERE end_us IS NOT NULL AND length(parameters) > 0")
    op.execute(
        "UPDATE queries SET record_bytes = 1024 + length(CAST(spec AS BLOB)) + length(CAST(labels AS BLOB))"
        " + length(parameters) + coalesce(length(failure), 0)"
    )
    op.execute("INSERT INTO usage (tenant, bytes) SELECT tenant, sum(record_bytes) FROM queries GROUP BY tenant")
    op.execute(f"CREATE TRIGGER usage_grows AFTER INSERT ON queries BEGIN {_ADD}; END")
    op.execute(f"CREATE TRIGGER usage_shrinks AFTER DELETE ON queries BEGIN {_TAKE}; END")
    op.execute(f"CREATE TRIGGER usage_changes {_CHANGED} BEGIN {_CHANGE}; END")
