"""An Arrow stream in the body of ClickHouse's answer, read to its end or to an error.

An error that comes after the first rows is text in the middle of the body, and a server that dies just stops. So the
end of a stream counts only when the stream says so itself and nothing comes behind it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from http.client import IncompleteRead
from typing import Any, Final

import pyarrow as pa
from urllib3.response import HTTPResponse

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.clickhouse.errors import code_and_words, failure

_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""The end of a stream in the Arrow format."""
_TAIL_BYTES: Final = 65_536
"""Of the body's end are kept: ClickHouse cuts an error it puts there to 16 KiB."""
_READ_BYTES: Final = 1 << 20
_MESSAGE_BYTES_MAX: Final = 1 << 30
"""Of one message in the stream. Text that is read as a length is more than this."""
_MARK: Final = b"__exception__"
_FOOTER: Final = re.compile(r"\n\d+ \w+\s*$")
BATCH_BYTES: Final = 16 << 20
"""A batch that is larger is handed on in parts."""


class _Body:
    """The file that Arrow reads. It keeps the end of what it has read."""

    closed = False

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        self.tail = b""
        self.error: Exception | None = None

    def read(self, size: int) -> bytes:
        """So many octets; fewer only at the end of the body."""
        is_message = size <= _MESSAGE_BYTES_MAX
        parts = []
        while size > 0:
            try:
                part = self._response.read(min(size, _READ_BYTES))
            except Exception as cause:
                self.error = cause
                self._keep(_partial(cause))
                raise
            if not part:
                break
            self._keep(part)
            size -= len(part)
            if is_message:
                parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _keep(self, part: bytes) -> None:
        self.tail = part[-_TAIL_BYTES:] if len(part) >= _TAIL_BYTES else (self.tail + part)[-_TAIL_BYTES:]

    def close(self) -> None:
        """Arrow closes it; the response belongs to the stream."""


class ArrowStream:
    """The batches in a response. Used by one thread, except for `abandon`."""

    def __init__(self, response: HTTPResponse, parameters: Sequence[BoundParameter] = ()) -> None:
        """`parameters` are those of the statement, to keep their values out of failures."""
        self._response = response
        self._parameters = parameters
        self._body = _Body(response)
        self._reader: pa.RecordBatchReader | None = None

    def open(self) -> pa.Schema:
        """Read the columns. Raises QueryEngineError when the server says why there are none, else what Arrow or the
        connection raised.
        """
        try:
            self._reader = pa.ipc.open_stream(pa.PythonFile(self._body, mode="r"))
        except Exception as cause:
            raise self._failure(cause) from cause
        return self._reader.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Raises as `open` does; never just stops."""
        assert self._reader is not None
        while True:
            try:
                batch = self._reader.read_next_batch()
            except StopIteration:
                break
            except Exception as cause:
                raise self._failure(cause) from cause
            yield batch
        ended = self._body.tail.endswith(_END)
        if self._body.read(1) or not ended:
            raise self._failure(None)

    @property
    def zone(self) -> str:
        """The zone that the server used for the query; empty when it does not say."""
        return str(self._response.headers.get("X-ClickHouse-Timezone") or "")

    @property
    def summary(self) -> Mapping[str, Any]:
        """What the server had counted when its first rows left."""
        try:
            found = json.loads(self._response.headers.get("X-ClickHouse-Summary") or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def abandon(self) -> None:
        """Wake the thread that waits for the server, with an error. From any thread, also while it is being closed."""
        with suppress(ValueError):
            # What urllib3 raises for a response that has been closed.
            self._response.shutdown()

    def close(self) -> None:
        """Closes the connection unless the body has been read to its end. Idempotent."""
        self._response.close()
        self._response.release_conn()

    def _failure(self, cause: Exception | None) -> Exception:
        """What the server wrote into the body, else what the connection raised, else what Arrow did."""
        if isinstance(cause, QueryEngineError):
            return cause
        if self._body.error is None:
            self._drain()
        found = self._written()
        if found is not None:
            return found
        if self._body.error is not None:
            return self._body.error
        message = "ClickHouse's answer ended in the middle of the result"
        return cause or error(Reason.ENGINE_UNAVAILABLE, message)

    def _drain(self) -> None:
        """Read what is left of a body that is no Arrow stream any more; an error is its end."""
        try:
            while self._body.read(_READ_BYTES):
                pass
        except Exception as cause:
            self._body.error = cause

    def _written(self) -> Exception | None:
        _, mark, text = self._body.tail.partition(_MARK)
        if not mark:
            position = self._body.tail.rfind(b"Code: ")
            text = self._body.tail[position:] if position >= 0 else b""
        code, words = code_and_words(text.partition(_MARK)[0].decode("utf-8", "replace"))
        return failure(code, _FOOTER.sub("", words), self._parameters) if code is not None else None


def _partial(cause: BaseException | None) -> bytes:
    """What had been read when the connection broke."""
    while cause is not None and not isinstance(cause, IncompleteRead):
        cause = cause.__cause__ or cause.__context__
    return cause.partial if cause is not None else b""


def parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch in parts of bounded size, without copying."""
    if not batch.num_rows:
        return
    rows = max(1, min(batch.num_rows, BATCH_BYTES * batch.num_rows // max(1, batch.nbytes)))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)
