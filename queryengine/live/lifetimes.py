"""What is over by the clock, removed by a sweep or not: rows that expired, records that were kept long enough."""

from datetime import UTC, datetime
from typing import Final

from queryengine.domain.clock import Clock
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.lifecycle import HOLDS_ROWS, ResultState
from queryengine.domain.query import Query

KEEP_USAGE_US: Final = 400 * 24 * 3600 * 1_000_000


class Lifetimes:
    """Judges records by the present moment. A sweep makes durable what is decided here."""

    def __init__(self, clock: Clock, *, keep_records_us: int, keep_usage_us: int = KEEP_USAGE_US) -> None:
        self._clock = clock
        self.adopt(keep_records_us=keep_records_us, keep_usage_us=keep_usage_us)

    def adopt(self, *, keep_records_us: int, keep_usage_us: int = KEEP_USAGE_US) -> None:
        """Keep records and usage for another time from now on, those that there are, too."""
        self._keep_records_us = keep_records_us
        self._keep_usage_us = keep_usage_us

    def result_state(self, query: Query) -> ResultState:
        """What can be read of the result now."""
        return query.result_state_at(self._clock.now_us())

    def holds_rows(self, query: Query) -> bool:
        """Whether rows of an ended query can be read now: all of them, or what is left."""
        return self.result_state(query) in HOLDS_ROWS

    def is_forgotten(self, query: Query) -> bool:
        """Whether the record reads as unknown: it ended long enough ago, and holds no rows."""
        return query.end_us is not None and query.end_us < self.forgotten_before_us() and not self.holds_rows(query)

    def now_us(self) -> int:
        return self._clock.now_us()

    def forgotten_before_us(self) -> int:
        """Queries that ended before this are forgotten once their rows are gone."""
        return self._clock.now_us() - self._keep_records_us

    def usage_forgotten_before_us(self) -> int:
        """What queries used that ended before this is forgotten."""
        return self._clock.now_us() - self._keep_usage_us

    def unreadable(self, query: Query) -> QueryEngineError:
        """Why the rows of an ended query cannot be read: its own failure, or what became of the rows."""
        match self.result_state(query):
            case ResultState.RELEASED:
                return error(Reason.RESULT_RELEASED, "the rows were released; submit the query again")
            case ResultState.EXPIRED:
                expired = datetime.fromtimestamp((query.expire_us or 0) / 1e6, UTC).isoformat()
                return error(
                    Reason.RESULT_EXPIRED, "the rows have expired; submit the query again", expire_time=expired
                )
            case ResultState.LOST:
                return error(Reason.RESULT_LOST, "the rows are lost; submit the query again")
            case ResultState.NONE | ResultState.PARTIAL | ResultState.READY:
                if query.failure is not None:
                    return QueryEngineError(query.failure)
                return error(Reason.RESULT_NOT_READY, "the query has not ended")
