"""A reader of results without a network, and what it is fed."""

import grpc
import pyarrow as pa

from queryengine.client.backoff import Backoff
from queryengine.client.errors import RpcFailure
from queryengine.client.stream import ResultReader
from tests.unit.fake_service import ID, SCHEMA, numbers

PAGES = [numbers(10), numbers(5, start=10), numbers(3, start=15), numbers(4, start=18)]
TOTAL = 22
CUT = RpcFailure(grpc.StatusCode.UNAVAILABLE, "connection reset")


def reader(*, give_up_after: float = 120.0, start_row: int = 0) -> ResultReader:
    backoff = Backoff(give_up_after=give_up_after, uniform=lambda low, high: high)
    return ResultReader(ID, backoff=backoff, start_row=start_row)


def rows(batches: list[pa.RecordBatch]) -> list[int]:
    return pa.Table.from_batches(batches, schema=SCHEMA)["n"].to_pylist()


def feed(target: ResultReader, messages: list[bytes]) -> list[pa.RecordBatch]:
    events = [target.receive(message) for message in messages]
    return [each for each in events if isinstance(each, pa.RecordBatch)]
