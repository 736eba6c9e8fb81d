"""The query: what was asked, what runs for it, and what became of it. Times are microseconds since 1970 UTC."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from queryengine.domain.errors import Failure
from queryengine.domain.lifecycle import FINAL, HOLDS_ROWS, QueryState, ResultState
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission

VERSION_STEP: Final = 1 << 20
"""Versions that one durable change has room for: progress between two durable changes counts in the low bits, so a
version never goes back when a restart forgets progress."""
REQUEST: Final = "request"
"""The source of a bound that the caller asked for."""


class Truncation(StrEnum):
    """Which limit cut a result."""

    ROW_LIMIT = "row_limit"
    BYTE_LIMIT = "byte_limit"


@dataclass(frozen=True, kw_only=True)
class Query:
    """The durable record of one submission. A value: a change makes a new one, by `but`."""

    query_id: str
    submission: Submission
    plan: Plan
    fingerprint: str
    """Of the submission, as it was stored: see `is_same_submission`."""
    query_hash: str
    state: QueryState = QueryState.QUEUED
    result_state: ResultState = ResultState.NONE
    version: int = VERSION_STEP
    attempt: int = 0
    owner: str = ""
    """Instance of the server that runs the current attempt; empty before the first."""
    rows: int = 0
    pages: int = 0
    bytes: int = 0
    rows_scanned: int | None = None
    bytes_scanned: int | None = None
    engine_query_id: str = ""
    """The engine's name for the last attempt, and where people see it; empty when the engine has none."""
    engine_query_url: str = ""
    truncation: Truncation | None = None
    failure: Failure | None = None
    submit_us: int
    start_us: int | None = None
    first_page_us: int | None = None
    end_us: int | None = None
    expire_us: int | None = None
    cancel_us: int | None = None
    cancel_reason: str = ""
    record_bytes: int = 0
    """What the record counts for in its tenant's share of the store."""
    throttled_us: int = 0
    """How long a limit of its tenant, subject or API key kept it waiting, whether a slot was free or not."""
    result_id: str | None = None
    """The result that it refers to, by a name that is unique within its tenant; None until a run completes. Its rows
    are there while `result_state` is one that holds rows."""

    @property
    def own_result_id(self) -> str:
        """The name of the result that the current attempt writes; known before the run and after a crash."""
        return f"{self.query_id}.{self.attempt}"

    @property
    def tenant(self) -> str:
        return self.submission.tenant

    @property
    def subject(self) -> str:
        return self.submission.subject

    @property
    def executed_sql(self) -> str:
        """The text that the engine is given."""
        return self.plan.executed_sql or self.submission.sql

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    def limit_source(self, name: str) -> str:
        """What gives a bound in force: `request`, or a key of the settings; empty for a bound that there is not."""
        if (key := self.plan.limit_sources.get(name)) is not None:
            return key
        is_time = name.endswith("_timeout")
        asked = getattr(self.submission, f"{name}_ms" if is_time else name)
        if is_time:
            return f"limits.{name}_seconds" if asked is None else REQUEST
        return REQUEST if asked else ""

    def result_state_at(self, now_us: int) -> ResultState:
        """What can be read of the result at a moment: rows are expired from expire_us on, removed or not."""
        if self.expire_us is not None and self.expire_us <= now_us and self.result_state in HOLDS_ROWS:
            return ResultState.EXPIRED
        return self.result_state

    def but(self, **facts: Any) -> "Query":
        """The same query with some facts changed. Raises TypeError for what is no field.

        As dataclasses.replace, without its look at every field, which a short query would notice.
        """
        if unknown := facts.keys() - self.__dataclass_fields__.keys():
            raise TypeError(f"a query has no {', '.join(sorted(unknown))}")
        changed = object.__new__(Query)
        changed.__dict__.update(self.__dict__, **facts)
        return changed
