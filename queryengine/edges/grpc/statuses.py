"""What replies say of a query as of now."""

from queryengine.domain.clock import Clock
from queryengine.edges.grpc import convert
from queryengine.live.query import LiveQuery
from queryengine.v1 import query_pb2, result_pb2


class Statuses:
    """Statuses and heartbeats, by the clock of the service."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def of(self, live: LiveQuery) -> query_pb2.QueryStatus:
        """The status of a query, with its place in the queue brought up to date."""
        live.refresh_place()
        return self.last(live)

    def last(self, live: LiveQuery) -> query_pb2.QueryStatus:
        """As `of`, with the place in the queue that is known."""
        return convert.status(live, self._clock.now_us())

    def heartbeat(self, live: LiveQuery) -> result_pb2.Heartbeat:
        return self.beat(live.version)

    def beat(self, version: int = 0) -> result_pb2.Heartbeat:
        """A sign of life of a stream that is about no single query, unless a version is given."""
        return result_pb2.Heartbeat(server_time=convert.timestamp(self._clock.now_us()), version=version)
