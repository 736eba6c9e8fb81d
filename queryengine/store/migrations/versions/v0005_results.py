"""Results have a name of their own, and queries a plan; the SQL is apart from the rest of a request."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_HAS_ROWS = "(result_state = 'LOST' OR result_state = 'READY')"


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    op.add_column("queries", sa.Column("sql", sa.LargeBinary, nullable=False, server_default=""))
    op.add_column("queries", sa.Column("engine_hint", sa.Text, nullable=False, server_default=""))
    op.add_column("queries", sa.Column("executed_sql", sa.LargeBinary))
    op.add_column("queries", sa.Column("policy_version", sa.Text, nullable=False, server_default=""))
    op.add_column("queries", sa.Column("cache_key", sa.Text, nullable=False, server_default=""))
    op.add_column("queries", sa.Column("result_id", sa.Text))
    op.create_table(
        "results",
        sa.Column("tenant", _KEY, primary_key=True),
        sa.Column("result_id", _KEY, primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.CheckConstraint("bytes >= 0", name="a_size_is_not_negative"),
    )
    has_rows = sa.text(_HAS_ROWS)
    op.create_index(
        "queries_by_result", "queries", ["tenant", "result_id"], sqlite_where=has_rows, postgresql_where=has_rows
    )
    if on_sqlite:
        # No database of PostgreSQL has records of an earlier version.
        _take_up_records()


def _take_up_records() -> None:
    op.execute("UPDATE queries SET engine_hint = engine WHERE json_extract(spec, '$.routing_reason') = 'explicit'")
    op.execute("UPDATE queries SET sql = CAST(json_extract(spec, '$.sql') AS BLOB), spec = json_remove(spec, '$.sql')")
    op.execute(f"UPDATE queries SET result_id = query_id || '.' || attempt WHERE {_HAS_ROWS}")  # noqa: S608 - Ours.
    op.execute(
        "INSERT INTO results (tenant, result_id, bytes, created_us)"
        " SELECT tenant, result_id, bytes, end_us FROM queries WHERE result_id IS NOT NULL"
    )

    _put_labels_on_lines()


def _put_labels_on_lines() -> None:
    connection = op.get_bind()
    labelled = connection.exec_driver_sql("SELECT rowid, labels FROM queries WHERE labels <> '{}'").all()
    encode = json.JSONEncoder(separators=(",", ":")).encode
    for row_id, labels in labelled:
        pairs = [f"\n{encode(key)}:{encode(value)}" for key, value in json.loads(labels).items()]
        connection.exec_driver_sql(
            "UPDATE queries SET labels = ? WHERE rowid = ?", ("{" + ",".join(pairs) + "}", row_id)
        )
