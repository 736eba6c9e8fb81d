"""Which queries of a tenant are meant, wherever some of many are listed, watched or cancelled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from queryengine.domain.lifecycle import QueryState
from queryengine.domain.query import Query
from queryengine.domain.viewer import Viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryFilter:
    """A query is meant when it matches all that is given; what is left empty excludes nothing."""

    states: frozenset[QueryState] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that the query carries, beside others."""
    engine: str = ""
    subject: str = ""
    query_id_prefix: str = ""
    named_query: str = ""
    """What ran is this version of a named query, such as `report@7`, or without a number any of it."""
    submitted_from_us: int | None = None
    submitted_before_us: int | None = None
    seen_by: Viewer | None = None
    """Whom they are for, who may not see all of them."""

    def matches(self, query: Query) -> bool:
        labels = query.submission.labels
        return (
            (not self.states or query.state in self.states)
            and self.engine in ("", query.plan.engine)
            and self.subject in ("", query.subject)
            and query.query_id.startswith(self.query_id_prefix)
            and (not self.named_query or f"{query.plan.named_query}@".startswith(f"{self.named_query}@"))
            and (self.submitted_from_us is None or query.submit_us >= self.submitted_from_us)
            and (self.submitted_before_us is None or query.submit_us < self.submitted_before_us)
            and (self.seen_by is None or self.seen_by.sees(query))
            and all(labels.get(key) == value for key, value in self.labels.items())
        )


EVERYTHING: Final = QueryFilter()
