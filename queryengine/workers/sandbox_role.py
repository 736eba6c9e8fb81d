"""The role of a sandbox worker: checks SQL text and cuts stored pages, one request at a time, for the server.

Both are work on other people's data of unknown cost, so they never happen on the server's event loop.
"""

import socket
from contextlib import suppress
from typing import Any

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.registry import engine_class
from queryengine.results.slicing import CutOrder, cut
from queryengine.workers.executing import failure_of
from queryengine.workers.protocol import Frame, encode


class SandboxRole:
    """Answers each request with any number of `page` frames and one `done`."""

    def __init__(self, connection: socket.socket, header: dict[str, Any]) -> None:
        self._connection = connection
        self._engines: dict[str, dict[str, Any]] = header["engines"]
        self._warm_up()
        self._send({"type": "ready", "version": ""})

    def handle(self, frame: Frame) -> None:
        try:
            if frame.type == "check":
                engine = self._engines[frame.header["engine"]]
                engine_class(engine["type"]).check(frame.header["sql"], engine["options"])
            elif frame.type == "traits":
                self._traits(frame.header["engine"])
            elif frame.type == "cut":
                self._cut(CutOrder.from_json(frame.header["order"]))
            self._send({"type": "done"})
        except ValueError as cause:
            # The text of a setting, which only the adapter can judge.
            failure = error(Reason.INVALID_FIELD, str(cause), field="options").failure
            self._send({"type": "done", "failure": failure.to_json()})
        except Exception as cause:
            self._send({"type": "done", "failure": failure_of(cause, f"a {frame.type}").to_json()})

    def _warm_up(self) -> None:
        """Load what a check needs before the first one: its time limit is for the text, not for imports."""
        for engine in self._engines.values():
            # What is wrong with an engine is told by its traits.
            with suppress(QueryEngineError, ValueError):
                engine_class(engine["type"]).check("SELECT 1", engine["options"])

    def _traits(self, name: str) -> None:
        engine = self._engines[name]
        traits = engine_class(engine["type"]).traits(engine["options"])
        fields = {field: getattr(traits, field) for field in traits.__dataclass_fields__}
        self._send({"type": "traits", "traits": fields})

    def _cut(self, order: CutOrder) -> None:
        for page in cut(order):
            header = {
                "type": "page",
                "start_row": page.start_row,
                "row_count": page.row_count,
                "crc32c": page.crc32c,
                "is_arrow": page.is_arrow,
            }
            self._send(header, page.payload)

    def _send(self, header: dict[str, Any], blob: bytes = b"") -> None:
        try:
            self._connection.sendall(encode(header, blob))
        except BrokenPipeError:
            # The server is gone; the main loop ends this process.
            return
