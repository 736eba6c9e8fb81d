"""Statements that end their workers: a second time is no accident, and the failure says not to submit it again."""

from collections import OrderedDict
from typing import Final

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.query import Query
from queryengine.workers.events import Lost

REMEMBERED_MAX: Final = 1_000
CRASHES_MAX: Final = 2


class Crashes:
    """Counts them for each tenant and request, the latest REMEMBERED_MAX, in the life of this server."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, str], int] = OrderedDict()

    def failure(self, query: Query, lost: Lost) -> Failure:
        """The failure of a query whose worker is lost."""
        metadata = {"attempt": str(query.attempt)}
        if lost.by_itself and (count := self._count(query)) >= CRASHES_MAX:
            message = (
                f"{lost.description} for the {_nth(count)} time over this statement; do not submit it again as it is"
            )
            return Failure(Reason.WORKER_LOST, message, {**metadata, "retryable": "false"})
        message = f"{lost.description}; nothing was lost but this run, submit the query again"
        return Failure(Reason.WORKER_LOST, message, metadata)

    def _count(self, query: Query) -> int:
        key = (query.tenant, query.fingerprint)
        count = self._counts[key] = self._counts.get(key, 0) + 1
        self._counts.move_to_end(key)
        if len(self._counts) > REMEMBERED_MAX:
            self._counts.popitem(last=False)
        return count


def _nth(count: int) -> str:
    return {2: "second", 3: "third"}.get(count, f"{count}th")
