"""Whoever sees a part of a tenant's queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from queryengine.domain.query import Query

SHARED_KEY: Final = "shared"
SHARED_VALUE: Final = "true"
"""A query that carries this label is seen by every reader of its tenant."""


def is_shared(labels: Mapping[str, str]) -> bool:
    """Whether the labels of a query share it with its tenant. They are fixed by Submit."""
    return labels.get(SHARED_KEY) == SHARED_VALUE


@dataclass(frozen=True, slots=True)
class Viewer:
    """Sees the queries of one subject and, perhaps, those that are shared. Where a viewer is optional, None sees all
    queries of the tenant.
    """

    subject: str
    """Empty for a caller whose subject is not known: no query is its own, not even one that was submitted so."""
    sees_shared: bool

    def sees(self, query: Query) -> bool:
        """For a query of the same tenant."""
        is_own = bool(self.subject) and query.subject == self.subject
        return is_own or (self.sees_shared and is_shared(query.submission.labels))
