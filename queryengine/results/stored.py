"""Stored results, each addressed by its tenant and its result id: their indexes, sizes and removal. Reads no page."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from queryengine.domain.errors import QueryEngineError
from queryengine.results.index import PageIndex
from queryengine.results.segment import StoredResult, ends, load
from queryengine.results.source import RecordedPages, SpooledPages
from queryengine.results.spool.base import Spool
from queryengine.results.spool.keys import name_of, query_key, result_key, result_of


@dataclass(frozen=True, slots=True)
class SpooledResult:
    """A result as found in the spool."""

    key: str
    tenant_hash: str
    result_id: str
    bytes: int
    changed_us: int
    """When a segment of it was last written to."""


class StoredResults:
    """The results in a spool. Methods block on it; call those that list or remove off the event loop."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool

    @property
    def root(self) -> str:
        """Where the results are, for people."""
        return self.spool.location

    def source(self, tenant: str, name: str) -> SpooledPages:
        """The pages of a result that is being written, or was."""
        return SpooledPages(self.spool, result_key(tenant, name))

    def load(self, tenant: str, name: str) -> StoredResult:
        """What is stored of a result; empty when nothing is. Raises STORE_UNAVAILABLE when it cannot be read."""
        return load(self.source(tenant, name))

    def index(self, tenant: str, name: str, attempt: int) -> PageIndex:
        """The index of a stored result, walked from its segments. Raises STORE_UNAVAILABLE when they cannot be read."""
        source = self.source(tenant, name)
        return PageIndex.of_stored(source, attempt, load(source))

    def recorded(self, tenant: str, name: str, attempt: int, payload: bytes) -> PageIndex:
        """The index of a small result, by the bytes of its segment, which the record of its query holds."""
        source = RecordedPages(result_key(tenant, name), payload)
        return PageIndex.of_stored(source, attempt, load(source))

    def may_hold(self, tenant: str, query_id: str) -> bool:
        """False when certainly no attempt of a query has stored anything. Quick enough for the event loop."""
        return self.spool.may_hold(query_key(tenant, query_id))

    def holds_any(self) -> bool:
        """Whether there is any result. Raises STORE_UNAVAILABLE."""
        return next(iter(self.spool.list()), None) is not None

    def remove(self, tenant: str, name: str) -> int:
        """Remove a result; returns the bytes freed. Open readers keep what they have open. Idempotent."""
        return self.spool.remove(result_key(tenant, name))

    def remove_listed(self, found: SpooledResult) -> int:
        """As `remove`, for one that `list` showed."""
        return self.spool.remove(found.key)

    def list(self) -> Iterator[SpooledResult]:
        """Every result in the spool, in no order. Raises STORE_UNAVAILABLE."""
        sizes: dict[str, tuple[int, int]] = {}
        for segment in self.spool.list():
            key = result_of(segment.key)
            size, changed_us = sizes.get(key, (0, 0))
            sizes[key] = size + segment.bytes, max(changed_us, segment.changed_us)
        for key, (size, changed_us) in sizes.items():
            yield SpooledResult(key, *name_of(key), size, changed_us)

    def tidy(self, before_us: int) -> None:
        """Remove what the spool itself needs no more and has not changed since a time."""
        self.spool.tidy(before_us)

    def shrink_unfinished(self) -> None:
        """Cut every result without an END record back to its first page. It will never be whole, and what is left says
        that rows of it were published.
        """
        for key in {result_of(segment.key) for segment in self.spool.list()}:
            self._shrink(key)

    def shrink(self, tenant: str, name: str) -> None:
        """As `shrink_unfinished`, for one result."""
        self._shrink(result_key(tenant, name))

    def _shrink(self, result: str) -> None:
        # What cannot be read or cut now stays as large as it is.
        with suppress(QueryEngineError):
            segments = sorted(found.key for found in self.spool.list(result))
            if not segments or self._ends(segments[-1]):
                return
            pages = load(SpooledPages(self.spool, result)).pages
            if not pages:
                return
            for key in segments[pages[0].segment + 1 :]:
                self.spool.remove(key)
            self.spool.cut(segments[pages[0].segment], pages[0].offset + pages[0].length)

    def _ends(self, key: str) -> bool:
        segment = self.spool.open(key)
        try:
            return ends(segment)
        finally:
            segment.close()
