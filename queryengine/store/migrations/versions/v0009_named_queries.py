"""Named queries, and which of them a query runs."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("queries", sa.Column("named_query", _KEY, nullable=False, server_default=""))
    op.execute("CREATE INDEX queries_by_named_query ON queries (tenant, named_query) WHERE named_query <> ''")
    op.create_table(
        "named_queries",
        sa.Column("tenant", _KEY, primary_key=True),
        sa.Column("name", _KEY, primary_key=True),
        sa.Column("latest", sa.BigInteger, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("delete_us", sa.BigInteger),
        sa.CheckConstraint("latest >= 1", name="versions_count_from_one"),
    )
    op.create_table(
        "named_query_versions",
        sa.Column("tenant", _KEY, primary_key=True),
        sa.Column("name", _KEY, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("parameters", sa.LargeBinary, nullable=False),
        sa.Column("sql", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "named_query_tags",
        sa.Column("tenant", _KEY, primary_key=True),
        sa.Column("name", _KEY, primary_key=True),
        sa.Column("tag", _KEY, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
