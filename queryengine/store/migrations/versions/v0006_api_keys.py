"""API keys, and the number of changes of them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", _KEY, primary_key=True),
        sa.Column("tenant", _KEY, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("cidrs", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("replaces", sa.Text, nullable=False),
        sa.Column("expire_us", sa.BigInteger),
        sa.Column("revoke_us", sa.BigInteger),
        sa.Column("last_use_us", sa.BigInteger),
        sa.Column("end_us", sa.BigInteger),
        sa.Column("change", sa.BigInteger, nullable=False),
        sa.CheckConstraint("length(secret_hash) = 32", name="a_hash_has_256_bits"),
    )
    op.create_index("api_keys_by_creation", "api_keys", ["tenant", "created_us", "key_id"])
    op.create_index("api_keys_by_change", "api_keys", ["change"])
    op.create_index("api_keys_by_end", "api_keys", ["end_us"])
    op.create_table(
        "api_key_changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="one_count"),
    )
    op.execute("INSERT INTO api_key_changes (id, count) VALUES (1, 0)")
