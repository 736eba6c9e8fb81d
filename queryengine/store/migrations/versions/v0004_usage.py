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


def upgrade() -> None:
    op.add_column("queries", sa.Column("record_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE queries SET parameters = x'' WHERE end_us IS NOT NULL AND length(parameters) > 0")
    op.execute(
        "UPDATE queries SET record_bytes = 1024 + length(CAST(spec AS BLOB)) + length(CAST(labels AS BLOB))"
        " + length(parameters) + coalesce(length(failure), 0)"
    )
    op.create_table(
        "usage",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO usage (tenant, bytes) SELECT tenant, sum(record_bytes) FROM queries GROUP BY tenant")
    op.execute(f"CREATE TRIGGER usage_grows AFTER INSERT ON queries BEGIN {_ADD}; END")
    op.execute(f"CREATE TRIGGER usage_shrinks AFTER DELETE ON queries BEGIN {_TAKE}; END")
    op.execute(f"CREATE TRIGGER usage_changes {_CHANGED} BEGIN {_CHANGE}; END")
