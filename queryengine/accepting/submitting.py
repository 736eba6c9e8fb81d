"""Submit a statement, wait for its end if that is asked for, and answer with its first rows."""

from dataclasses import dataclass

from queryengine.accepting.queries import Queries
from queryengine.accepting.submit_call import SubmitCall
from queryengine.domain.lifecycle import QueryState
from queryengine.live.query import LiveQuery
from queryengine.reading.fetching import Fetching, InlineRows


@dataclass(frozen=True, slots=True)
class Submitted:
    """The answer to a Submit."""

    live: LiveQuery
    existing: bool
    """The id was submitted before, with an equal submission."""
    inline: InlineRows | None
    """The first rows, of a query that completed within the time to wait; None when they cannot be read."""


class Submitting:
    """The whole of Submit."""

    def __init__(self, queries: Queries, fetching: Fetching) -> None:
        self._queries = queries
        self._fetching = fetching

    async def submit(self, call: SubmitCall) -> Submitted:
        """The query, durable. Raises what Queries.submit raises; an end of the query within the time to wait is no
        failure, whatever it is. Whoever waits counts as a reader of the query.
        """
        live, existing = await self._queries.submit(call)
        inline: InlineRows | None = None
        if call.wait_seconds:
            call.leave_turn()
            with live.readers.present():
                await live.wait_until_final(call.wait_seconds)
            if live.query.state is QueryState.COMPLETED:
                inline = await self._fetching.inline(live, as_rows=call.inline_as_rows)
        return Submitted(live, existing, inline)
