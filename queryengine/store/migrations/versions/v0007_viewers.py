"""Indexes for listings of one subject among many queries of its tenant."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_POSITION = {"sqlite": "instr", "postgresql": "strpos"}


def upgrade() -> None:
    position = _POSITION[op.get_bind().dialect.name]
    op.execute("CREATE INDEX queries_by_subject ON queries (tenant, subject, submit_us, query_id) WHERE subject <> ''")
    op.execute(
        "CREATE INDEX queries_shared ON queries (tenant, submit_us, query_id) "
        f'WHERE {position}(labels, \'\n"shared":"true"\') > 0'
    )
