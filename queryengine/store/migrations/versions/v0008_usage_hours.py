"""What queries have used, by the hour; the API key of a query, and how long a limit kept it waiting."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEYS = ("tenant", "hour", "subject", "engine", "api_key")
_IS_HIT = "NEW.result_id <> NEW.query_id || '.' || NEW.attempt"
_COUNTED = {
    "queries": "1",
    "failed": "CASE WHEN NEW.state = 'FAILED' THEN 1 ELSE 0 END",
    "cancelled": "CASE WHEN NEW.state = 'CANCELLED' THEN 1 ELSE 0 END",
    "cache_hits": f"CASE WHEN {_IS_HIT} THEN 1 ELSE 0 END",
    "engine_us": "CASE WHEN NEW.end_us > NEW.start_us THEN NEW.end_us - NEW.start_us ELSE 0 END",
    "rows": "NEW.rows",
    "bytes_stored": f"CASE WHEN {_IS_HIT} THEN 0 ELSE NEW.bytes END",
    "bytes_scanned": "coalesce(NEW.bytes_scanned, 0)",
    "bytes_scanned_hidden": "CASE WHEN NEW.policy_version <> '' THEN coalesce(NEW.bytes_scanned, 0) ELSE 0 END",
}
_ADDED = ", ".join(f"{name} = usage_hours.{name} + excluded.{name}" for name in _COUNTED)
_SPEND = (
    f"INSERT INTO usage_hours ({', '.join((*_KEYS, *_COUNTED))}) VALUES"  # noqa: S608 - Ours.
    f" (NEW.tenant, NEW.end_us / 3600000000, NEW.subject, NEW.engine, NEW.api_key, {', '.join(_COUNTED.values())})"
    f" ON CONFLICT ({', '.join(_KEYS)}) DO UPDATE SET {_ADDED}"
)
_ENDS = "OLD.end_us IS NULL AND NEW.end_us IS NOT NULL"
_ON_UPDATE = "CREATE TRIGGER ends_count AFTER UPDATE OF end_us ON queries"
_ON_INSERT = "CREATE TRIGGER new_ends_count AFTER INSERT ON queries"


def upgrade() -> None:
    op.add_column("queries", sa.Column("api_key", sa.Text, nullable=False, server_default=""))
    op.add_column("queries", sa.Column("throttled_us", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "usage_hours",
        *(sa.Column(name, sa.BigInteger if name == "hour" else _KEY, primary_key=True) for name in _KEYS),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COUNTED),
    )
    # Queries that ended before are counted as far as their records are there.
    _count_what_ended()
    if op.get_bind().dialect.name == "postgresql":
        call = "EXECUTE FUNCTION count_end()"
        op.execute(
            f"CREATE FUNCTION count_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_SPEND}; RETURN NULL; END $$"
        )
        op.execute(f"{_ON_UPDATE} FOR EACH ROW WHEN ({_ENDS}) {call}")
        op.execute(f"{_ON_INSERT} FOR EACH ROW WHEN (NEW.end_us IS NOT NULL) {call}")
    else:
        op.execute(f"{_ON_UPDATE} WHEN {_ENDS} BEGIN {_SPEND}; END")
        op.execute(f"{_ON_INSERT} WHEN NEW.end_us IS NOT NULL BEGIN {_SPEND}; END")


def _count_what_ended() -> None:
    sums = ", ".join(f"sum({value.replace('NEW.', 'queries.')})" for value in _COUNTED.values())
    hour = "queries.end_us / 3600000000"
    op.execute(
        f"INSERT INTO usage_hours ({', '.join((*_KEYS, *_COUNTED))})"  # noqa: S608 - Ours.
        f" SELECT tenant, {hour}, subject, engine, api_key, {sums} FROM queries WHERE end_us IS NOT NULL"
        f" GROUP BY tenant, {hour}, subject, engine, api_key"
    )
