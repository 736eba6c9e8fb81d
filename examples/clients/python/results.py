"""Reads the rows of a query over streams that may end early. Copy this file: it holds what is easy to get wrong."""

import random
import time
from collections.abc import Iterator

import google_crc32c
import grpc
import pyarrow as pa
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from queryengine.v1 import query_service_pb2 as api
from queryengine.v1 import query_service_pb2_grpc, result_pb2

TRIES_WITHOUT_PROGRESS = 8

# These are about the call and not the query, as does every status without an ErrorInfo: it comes from the transport.
PASSING = {
    "READER_STALLED",
    "SANDBOX_UNAVAILABLE",
    "SERVER_DRAINING",
    "STORE_UNAVAILABLE",
    "TENANT_BUSY",
    "TENANT_STREAM_LIMIT",
}


def error_info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo | None:
    """Reason and metadata of a failed call; None when the transport failed."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            return info
    return None


class Results:
    """Iterate over it for record batches: every row once, in order, of one attempt, or an exception.

    `next_row` and `attempt` are the position. Keep both, and another process can go on there.
    """

    def __init__(
        self, stub: query_service_pb2_grpc.QueryServiceStub, query_id: str, next_row: int = 0, attempt: int = 0
    ) -> None:
        self.query_id = query_id
        self.next_row = next_row
        self.attempt = attempt
        self.pages = 0
        self.streams = 0
        self._stub = stub
        self._chunks: list[bytes] = []

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        failures = 0
        while True:
            request = api.StreamResultsRequest(query_id=self.query_id, start_row=self.next_row, attempt=self.attempt)
            stream = self._stub.StreamResults(request)
            self.streams += 1
            broken = None
            try:
                for message in stream:
                    match message.WhichOneof("event"):
                        case "schema":
                            self.attempt = message.schema.attempt
                        case "page":
                            batch = self._receive(message.page)
                            if batch is not None:
                                failures = 0
                                yield batch
                        case "end":
                            self._check(message.end)
                            return
                        case "heartbeat" | "rotate":
                            # `rotate` is the last message of a stream that the server ends on purpose, at an age of
                            # 2 minutes for example. It is not the end of the result.
                            failures = 0
            except grpc.RpcError as error:
                info = error_info(error)
                if info is not None and info.reason not in PASSING:
                    raise
                broken = error
            finally:
                stream.cancel()
            # The stream rotated or broke. The next one begins at the first row that has not arrived as a whole page.
            self._chunks.clear()
            if failures == TRIES_WITHOUT_PROGRESS:
                raise ConnectionError(f"nothing came after row {self.next_row}") from broken
            time.sleep(random.uniform(0, 0.05 * 2**failures))
            failures += 1

    def _receive(self, page: result_pb2.Page) -> pa.RecordBatch | None:
        """The rows of a page; None while chunks of it are missing."""
        if page.start_row != self.next_row or page.chunk_index != len(self._chunks):
            raise ValueError(f"row {self.next_row} was expected, the page begins at row {page.start_row}")
        self._chunks.append(page.arrow)
        if len(self._chunks) < page.chunk_count:
            return None
        payload = b"".join(self._chunks)
        self._chunks.clear()
        if google_crc32c.value(payload) != page.crc32c:
            raise ValueError(f"the page at row {page.start_row} is damaged")
        # A page is a complete Arrow stream of one batch.
        batch = pa.ipc.open_stream(payload).read_next_batch()
        self.next_row += page.row_count
        self.pages += 1
        return batch

    def _check(self, end: result_pb2.ResultEnd) -> None:
        if end.total_rows != self.next_row or end.attempt != self.attempt:
            raise ValueError(f"{self.next_row} rows arrived, the result has {end.total_rows}")
