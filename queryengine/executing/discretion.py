"""What a query says of other queries: which runs it names, and from whose past it guesses.

A place in the queue and a failure are the same for everyone who sees the query, and a failure is durable. So they name
no run that any of those might not see. Totals, such as how many queries wait, are no secret.
"""

from collections.abc import Callable
from dataclasses import dataclass

from queryengine.domain.query import Query
from queryengine.domain.viewer import is_shared


def _no() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Discretion:
    """Decides by whether callers are verified now; while they are not, everybody of a tenant sees all of it."""

    is_strict: Callable[[], bool] = _no

    def may_name(self, query: Query, *, tenant: str, subject: str, shared: bool) -> bool:
        """Whether everyone who sees a query sees one of this tenant, subject and sharing."""
        if not self.is_strict():
            return True
        is_same = bool(subject) and subject == query.subject and not is_shared(query.submission.labels)
        return tenant == query.tenant and (shared or is_same)

    def past(self, tenant: str, subject: str, query_hash: str) -> str:
        """Names the runs from which a query is guessed at: those of the same SQL and, where others do not see them, of
        the same subject. A guess would say that somebody has run this SQL, and for how long.
        """
        return f"{tenant}\0{subject}\0{query_hash}" if self.is_strict() else query_hash

    def past_of(self, query: Query) -> str:
        return self.past(query.tenant, query.subject, query.query_hash)
