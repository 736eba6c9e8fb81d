"""Query ids that were submitted before: an id is the caller's, and the same submission may be sent again and again."""

from collections.abc import Callable
from dataclasses import replace

from queryengine.accepting.submit_call import SubmitCall
from queryengine.domain.plan import id_reused, is_same_submission
from queryengine.domain.query import Query
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry
from queryengine.policy.rights import viewer
from queryengine.store.store import Store


class Known:
    """Finds the query that a Submit is a repetition of. Every method raises QUERY_ID_REUSED when the query of its id
    was submitted as something else, or is one that the caller does not see.
    """

    def __init__(self, registry: Registry, store: Store, has_rows: Callable[[str, str], bool]) -> None:
        """`has_rows` says whether anything is stored for a tenant's query id."""
        self._registry = registry
        self._store = store
        self._has_rows = has_rows

    def in_memory(self, call: SubmitCall) -> LiveQuery | None:
        found = self._registry.in_memory(*call.key)
        if found is not None:
            require_seen(found.query, call)
            found.readers.seen()
            _require_same(found.query, call)
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
        require_seen(stored, call)
        found = self._registry.add(stored)
        _require_same(found.query, call)
        return found


def require_seen(found: Query, call: SubmitCall) -> None:
    """Raises QUERY_ID_REUSED, as for another submission, when the caller does not see the query of its id."""
    seen_by = viewer(call.principal)
    if seen_by is not None and not seen_by.sees(found):
        raise id_reused(found.query_id)


def _require_same(found: Query, call: SubmitCall) -> None:
    plan = call.outline
    if not plan.engine:
        # Rules need the text to choose it. A query that names none had the one that it has.
        plan = replace(plan, engine=found.plan.engine)
    asked = call.submission
    if not is_same_submission(found.fingerprint, asked.fingerprint(), asked, plan):
        raise id_reused(found.query_id)
