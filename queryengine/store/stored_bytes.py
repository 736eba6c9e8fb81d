"""What the whole results of each subject and API key take, in memory: read at the start and kept with every write."""

from collections import Counter
from collections.abc import Iterable

from queryengine.domain.query import Query


class StoredBytes:
    """Changed on the event loop, after the commit of what changed it. A result that several queries refer to counts for
    each of them.
    """

    def __init__(self, stored: Iterable[tuple[str, str, str, int]] = ()) -> None:
        """`stored`: tenant, subject, API key and bytes."""
        self._by_subject: Counter[tuple[str, str]] = Counter()
        self._by_key: Counter[tuple[str, str]] = Counter()
        for tenant, subject, api_key, size in stored:
            self._count(tenant, subject, api_key, size)

    def of_subject(self, tenant: str, subject: str) -> int:
        return self._by_subject[tenant, subject]

    def of_key(self, tenant: str, api_key: str) -> int:
        return self._by_key[tenant, api_key]

    def stored(self, query: Query) -> None:
        """A query refers to a result from now on."""
        self._count(query.tenant, query.subject, query.submission.api_key, query.bytes)

    def dropped(self, query: Query) -> None:
        """It does so no more."""
        self._count(query.tenant, query.subject, query.submission.api_key, -query.bytes)

    def _count(self, tenant: str, subject: str, api_key: str, size: int) -> None:
        for counter, name in ((self._by_subject, subject), (self._by_key, api_key)):
            if name and size:
                counter[tenant, name] += size
                if counter[tenant, name] <= 0:
                    del counter[tenant, name]
