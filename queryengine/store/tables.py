"""The tables, and the invariants that the database repeats: a row that breaks one cannot be written.

The migrations build the same schema; a test compares the two. Times are microseconds since 1970 UTC, JSON is
text.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from queryengine.domain.lifecycle import FINAL, HOLDS_ROWS, QueryState, ResultState
from queryengine.domain.query import Truncation
from queryengine.domain.viewer import SHARED_KEY, SHARED_VALUE
from queryengine.store.counting import COUNTED, create_triggers
from queryengine.store.rows import label_line


def _one_of(column: str, values: Iterable[StrEnum]) -> str:
    """A condition, words in a fixed order. Not `IN`: SQLite would build a table for it on each insert."""
    return "(" + " OR ".join(f"{column} = '{value}'" for value in sorted(values)) + ")"


_KEY: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Compared by its bytes, whatever the language of the database."""

HAS_ROWS: Final = _one_of("result_state", HOLDS_ROWS)
HAS_SUBJECT: Final = "subject <> ''"
IS_NAMED: Final = "named_query <> ''"
IS_SHARED: Final = {
    database: f"{function}(labels, '{label_line(SHARED_KEY, SHARED_VALUE)}') > 0"
    for database, function in (("sqlite", "instr"), ("postgresql", "strpos"))
}
"""By the database. A query repeats such a condition word by word, so that the planner sees that an index applies."""


def _index_where(rule: str, *names: str, postgresql: str = "") -> sa.Index:
    """`postgresql` is the rule of that database, where it is another one."""
    return sa.Index(*names, sqlite_where=sa.text(rule), postgresql_where=sa.text(postgresql or rule))


METADATA: Final = sa.MetaData()

QUERIES: Final = sa.Table(
    "queries",
    METADATA,
    # What was asked: written once by Submit.
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
    # What became of it.
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
    sa.Column("engine_query_id", sa.Text, nullable=False, server_default=""),
    sa.Column("engine_query_url", sa.Text, nullable=False, server_default=""),
    sa.Column("record_bytes", sa.BigInteger, nullable=False, server_default="0"),
    # Bytes of UTF-8, of which a beginning can be read: the text may hold any character, NUL included.
    sa.Column("sql", sa.LargeBinary, nullable=False, server_default=""),
    # What the planner decided, beside the engine; without an executed SQL, the SQL is what runs.
    sa.Column("engine_hint", sa.Text, nullable=False, server_default=""),
    sa.Column("executed_sql", sa.LargeBinary),
    sa.Column("policy_version", sa.Text, nullable=False, server_default=""),
    sa.Column("cache_key", sa.Text, nullable=False, server_default=""),
    sa.Column("result_id", sa.Text),
    # The label of the API key that submitted it; empty without one.
    sa.Column("api_key", sa.Text, nullable=False, server_default=""),
    sa.Column("throttled_us", sa.BigInteger, nullable=False, server_default="0"),
    # The version of a named query that runs, as name@version; empty for SQL text.
    sa.Column("named_query", _KEY, nullable=False, server_default=""),
    sa.CheckConstraint(_one_of("state", QueryState), name="state_is_known"),
    sa.CheckConstraint(_one_of("result_state", ResultState), name="result_state_is_known"),
    sa.CheckConstraint(f"truncation IS NULL OR {_one_of('truncation', Truncation)}", name="truncation_is_known"),
    sa.CheckConstraint(f"(end_us IS NOT NULL) = {_one_of('state', FINAL)}", name="only_the_ended_have_an_end"),
    sa.CheckConstraint(
        f"(failure IS NOT NULL) = {_one_of('state', [QueryState.FAILED, QueryState.CANCELLED])}",
        name="only_the_unsuccessful_have_a_failure",
    ),
    sa.CheckConstraint(
        "state <> 'RUNNING' OR (attempt >= 1 AND owner <> '' AND start_us IS NOT NULL)",
        name="the_running_have_attempt_owner_and_start",
    ),
    sa.CheckConstraint(
        "state <> 'QUEUED' OR (start_us IS NULL AND first_page_us IS NULL AND result_state = 'NONE')",
        name="the_queued_have_nothing_yet",
    ),
    sa.CheckConstraint("result_state <> 'PARTIAL' OR state = 'RUNNING'", name="only_the_running_are_partial"),
    sa.CheckConstraint(
        "result_state <> 'READY' OR (state = 'COMPLETED' AND expire_us IS NOT NULL)",
        name="a_ready_result_is_whole_and_expires",
    ),
    sa.CheckConstraint("cancel_us IS NOT NULL OR cancel_reason = ''", name="a_cancel_reason_has_a_time"),
    sa.CheckConstraint(
        "version >= 1 AND attempt >= 0 AND rows >= 0 AND pages >= 0 AND bytes >= 0",
        name="counts_are_not_negative",
    ),
    sa.Index("queries_by_submission", "tenant", "submit_us", "query_id"),
    _index_where("end_us IS NOT NULL", "queries_by_end", "end_us"),
    _index_where(HAS_ROWS, "queries_by_expiry", "expire_us"),
    _index_where("end_us IS NULL", "queries_alive", "submit_us"),
    _index_where(HAS_ROWS, "queries_by_result", "tenant", "result_id"),
    # In the order of listings, what one subject sees of a tenant that has far more.
    _index_where(HAS_SUBJECT, "queries_by_subject", "tenant", "subject", "submit_us", "query_id"),
    _index_where(
        IS_SHARED["sqlite"],
        "queries_shared",
        "tenant",
        "submit_us",
        "query_id",
        postgresql=IS_SHARED["postgresql"],
    ),
    _index_where(IS_NAMED, "queries_by_named_query", "tenant", "named_query"),
)

RESULTS: Final = sa.Table(
    "results",
    METADATA,
    # One row for each result that a query with rows refers to; the last reference takes it away.
    sa.Column("tenant", _KEY, primary_key=True),
    sa.Column("result_id", _KEY, primary_key=True),
    # What it takes, in the record or in the spool.
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    # The bytes of a small result, as a segment would hold them; NULL for one in the spool.
    sa.Column("payload", sa.LargeBinary),
    sa.CheckConstraint("bytes >= 0", name="a_size_is_not_negative"),
)

USAGE: Final = sa.Table(
    "usage",
    METADATA,
    # What the records of a tenant count for. Triggers keep it, so that nobody has to add up the queries.
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("bytes", sa.BigInteger, nullable=False),
)

USAGE_HOURS: Final = sa.Table(
    "usage_hours",
    METADATA,
    # What queries that ended in an hour have used; a trigger counts each with its end. It outlives their records.
    # Hours count from 1970 UTC. Those of past days are added up in the first hour of their day.
    sa.Column("tenant", _KEY, primary_key=True),
    sa.Column("hour", sa.BigInteger, primary_key=True),
    sa.Column("subject", _KEY, primary_key=True),
    sa.Column("engine", _KEY, primary_key=True),
    sa.Column("api_key", _KEY, primary_key=True),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in COUNTED),
)

sa.event.listen(METADATA, "after_create", create_triggers)

SERVER: Final = sa.Table(
    "server",
    METADATA,
    # One row: who opened the file last, and a counter that a health check moves.
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("beats", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="one_server"),
)

API_KEYS: Final = sa.Table(
    "api_keys",
    METADATA,
    # Ids are unique among all tenants.
    sa.Column("key_id", _KEY, primary_key=True),
    sa.Column("tenant", _KEY, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    # Words, in order, between spaces.
    sa.Column("roles", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    # Between spaces, too.
    sa.Column("cidrs", sa.Text, nullable=False),
    # SHA-256 of the whole key, which is nowhere.
    sa.Column("secret_hash", sa.LargeBinary, nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("replaces", sa.Text, nullable=False),
    sa.Column("expire_us", sa.BigInteger),
    sa.Column("revoke_us", sa.BigInteger),
    sa.Column("last_use_us", sa.BigInteger),
    # The earlier of the two times at which it ceases to work.
    sa.Column("end_us", sa.BigInteger),
    # The number of the last change that matters to whoever accepts keys.
    sa.Column("change", sa.BigInteger, nullable=False),
    sa.CheckConstraint("length(secret_hash) = 32", name="a_hash_has_256_bits"),
    sa.Index("api_keys_by_creation", "tenant", "created_us", "key_id"),
    sa.Index("api_keys_by_change", "change"),
    sa.Index("api_keys_by_end", "end_us"),
)

API_KEY_CHANGES: Final = sa.Table(
    "api_key_changes",
    METADATA,
    # One row, which every change of a key counts in: changes have numbers in the order of their COMMITs.
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="one_count"),
)

NAMED_QUERIES: Final = sa.Table(
    "named_queries",
    METADATA,
    sa.Column("tenant", _KEY, primary_key=True),
    sa.Column("name", _KEY, primary_key=True),
    # The number of the newest version, which a deleted name keeps, so that no number is used twice.
    sa.Column("latest", sa.BigInteger, nullable=False),
    # Words, in order, between spaces.
    sa.Column("roles", sa.Text, nullable=False),
    sa.Column("delete_us", sa.BigInteger),
    sa.CheckConstraint("latest >= 1", name="versions_count_from_one"),
)

NAMED_QUERY_VERSIONS: Final = sa.Table(
    "named_query_versions",
    METADATA,
    sa.Column("tenant", _KEY, primary_key=True),
    sa.Column("name", _KEY, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    # What it counts for. Before the texts, which are long, so that adding it up reads none of them.
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    # JSON of everything short.
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("parameters", sa.LargeBinary, nullable=False),
    sa.Column("sql", sa.LargeBinary, nullable=False),
)

NAMED_QUERY_TAGS: Final = sa.Table(
    "named_query_tags",
    METADATA,
    sa.Column("tenant", _KEY, primary_key=True),
    sa.Column("name", _KEY, primary_key=True),
    sa.Column("tag", _KEY, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)
