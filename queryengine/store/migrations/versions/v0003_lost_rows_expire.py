"""What is left of a damaged result expires, too."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("queries_by_expiry", "queries")
    has_rows = sa.text("(result_state = 'LOST' OR result_state = 'READY')")
    op.create_index("queries_by_expiry", "queries", ["expire_us"], sqlite_where=has_rows, postgresql_where=has_rows)
