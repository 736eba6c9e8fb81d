"""Query ids that were submitted before: an id is the caller's, and the same submission may be sent again and again."""

from collections.abc import Callable

from queryengine.accepting.submit_call import SubmitCall
from queryengine.domain.errors import Reason, error
from queryengine.domain.plan import is_same_submission
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry
from queryengine.store.store import Store


class Known:
    """Finds the query that a Submit is a repetition of. Every method raises QUERY_ID_REUSED when the query of its id
    was submitted as something else.
    """

    def __init__(self, registry: Registry, store: Store, has_rows: Callable[[str, str], bool]) -> None:
        """`has_rows` says whether anything is stored for a tenant's query id."""
        self._registry = registry
        self._store = store
        self._has_rows = has_rows

    def in_memory(self, call: SubmitCall) -> LiveQuery | None:
        found = self._registry.in_memory(*call.key)
        if found is not None:
            found.readers.seen()
            _require_same(found, call)
        return found

    async def with_rows(self, call: SubmitCall) -> LiveQuery | None:
        """The query in the store if its id has rows. Others are not looked up: the store says whether an id is known
        when it is asked to write it. A new run of one with rows would begin by removing them.
        """
        return await self.stored(call) if self._has_rows(*call.key) else None

    async def stored(self, call: SubmitCall) -> LiveQuery | None:
        """The query in the store."""
        stored = await self._store.get(*call.key)
        if stored is None:
            return None
        found = self._registry.add(stored)
        _require_same(found, call)
        return found


def _require_same(found: LiveQuery, call: SubmitCall) -> None:
    if not is_same_submission(found.query.fingerprint, call.submission, call.outline):
        message = "this query_id was used for another request; choose a new one"
        raise error(Reason.QUERY_ID_REUSED, message, query_id=found.query.query_id)
