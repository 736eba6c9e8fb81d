"""The engine's own name for a query's last attempt."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("engine_query_id", "engine_query_url"):
        op.add_column("queries", sa.Column(name, sa.Text, nullable=False, server_default=""))
