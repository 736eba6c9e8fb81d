"""The first schema: queries, and the server that has the file open."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "queries",
        sa.Column("tenant", _KEY, primary_key=True),
        sa.Column("query_id", _KEY, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("parameters", sa.LargeBinary, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("query_hash", sa.Text, nullable=False),
        sa.Column("submit_us", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("result_state", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("pages", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("rows_scanned", sa.BigInteger),
        sa.Column("bytes_scanned", sa.BigInteger),
        sa.Column("truncation", sa.Text),
        sa.Column("failure", sa.Text),
        sa.Column("start_us", sa.BigInteger),
        sa.Column("first_page_us", sa.BigInteger),
        sa.Column("end_us", sa.BigInteger),
        sa.Column("expire_us", sa.BigInteger),
        sa.Column("cancel_us", sa.BigInteger),
        sa.Column("cancel_reason", sa.Text, nullable=False),
        *(sa.CheckConstraint(rule, name=name) for name, rule in _RULES.items()),
    )
    op.create_index("queries_by_submission", "queries", ["tenant", "submit_us", "query_id"])
    for name, column, rule in (
        ("queries_by_end", "end_us", "end_us IS NOT NULL"),
        ("queries_by_expiry", "expire_us", "result_state = 'READY'"),
        ("queries_alive", "submit_us", "end_us IS NULL"),
    ):
        where = sa.text(rule)
        op.create_index(name, "queries", [column], sqlite_where=where, postgresql_where=where)
    op.create_table(
        "server",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("beats", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="one_server"),
    )


_RULES = {
    "state_is_known": (
        "(state = 'CANCELLED' OR state = 'COMPLETED' OR state = 'FAILED' OR state = 'QUEUED' OR state = 'RUNNING')"
    ),
    "result_state_is_known": (
        "(result_state = 'EXPIRED' OR result_state = 'LOST' OR result_state = 'NONE'"
        " OR result_state = 'PARTIAL' OR result_state = 'READY' OR result_state = 'RELEASED')"
    ),
    "truncation_is_known": "truncation IS NULL OR (truncation = 'byte_limit' OR truncation = 'row_limit')",
    "only_the_ended_have_an_end": (
        "(end_us IS NOT NULL) = (state = 'CANCELLED' OR state = 'COMPLETED' OR state = 'FAILED')"
    ),
    "only_the_unsuccessful_have_a_failure": ("(failure IS NOT NULL) = (state = 'CANCELLED' OR state = 'FAILED')"),
    "the_running_have_attempt_owner_and_start": (
        "state <> 'RUNNING' OR (attempt >= 1 AND owner <> '' AND start_us IS NOT NULL)"
    ),
    "the_queued_have_nothing_yet": (
        "state <> 'QUEUED' OR (start_us IS NULL AND first_page_us IS NULL AND result_state = 'NONE')"
    ),
    "only_the_running_are_partial": "result_state <> 'PARTIAL' OR state = 'RUNNING'",
    "a_ready_result_is_whole_and_expires": (
        "result_state <> 'READY' OR (state = 'COMPLETED' AND expire_us IS NOT NULL)"
    ),
    "a_cancel_reason_has_a_time": "cancel_us IS NOT NULL OR cancel_reason = ''",
    "counts_are_not_negative": "version >= 1 AND attempt >= 0 AND rows >= 0 AND pages >= 0 AND bytes >= 0",
}
