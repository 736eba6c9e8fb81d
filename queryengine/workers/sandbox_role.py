"""The role of a sandbox worker: checks SQL text and cuts stored pages, one request at a time, for the server.

Both are work on other people's data of unknown cost, so they never happen on the server's event loop.
"""

import json
import signal
import socket
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from types import FrameType
from typing import Any, Final

from queryengine.codec.declarations import Declarations
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.row_policy import RowPolicy
from queryengine.engines.base import OptionError
from queryengine.engines.kit.checking import allowing
from queryengine.engines.kit.dialects import facts_of
from queryengine.engines.kit.translating import translated
from queryengine.engines.registry import engine_class
from queryengine.results.slicing import CutOrder, cut
from queryengine.results.spool.locations import spool_at
from queryengine.workers.failures import failure_of
from queryengine.workers.protocol import Frame, encode

POLICIES_KEPT: Final = 8
REPEAT_SECONDS: Final = 0.05
"""Between two interruptions of a request out of time, as the first may come where it must wait."""


class _OutOfTime(BaseException):
    """The request has used up its processor time. No Exception, so that no adapter takes it for a fault of its own."""


class _Policies:
    """The policies that came last, as most texts come with the same few."""

    def __init__(self) -> None:
        self._decoded: OrderedDict[bytes, RowPolicy] = OrderedDict()

    def decoded(self, blob: bytes) -> RowPolicy:
        found = self._decoded.get(blob)
        if found is None:
            found = self._decoded[blob] = RowPolicy.decode(blob)
            if len(self._decoded) > POLICIES_KEPT:
                self._decoded.popitem(last=False)
        self._decoded.move_to_end(blob)
        return found


class SandboxRole:
    """Answers each request with any number of `page` frames and one `done`."""

    def __init__(self, connection: socket.socket, header: dict[str, Any]) -> None:
        self._connection = connection
        self._engines: dict[str, dict[str, Any]] = header["engines"]
        self._spool = spool_at(header.get("spool", ""))
        self._policies = _Policies()
        self._is_timed = False
        signal.signal(signal.SIGPROF, self._out_of_time)
        self._warm_up()
        self._send({"type": "ready", "version": ""})

    def attend(self) -> None:
        """Nothing runs between two requests."""

    def handle(self, frame: Frame) -> None:
        try:
            with self._timed(frame.header["cpu_seconds"]):
                done = self._answer(frame)
        except _OutOfTime:
            done = {"over_limit": "time"}
        self._send({"type": "done", **done})

    def _answer(self, frame: Frame) -> dict[str, Any]:
        """Do what is asked; returns what `done` says."""
        try:
            if frame.type == "check":
                return self._check(frame)
            if frame.type == "facts":
                return {"analysis": facts_of(frame.header["sql"], frame.header["dialect"]).to_json()}
            if frame.type == "translate":
                return _translated(frame.header)
            if frame.type == "policy":
                engine = self._engines[frame.header["engine"]]
                policy = RowPolicy.decode(frame.blob)
                judged = engine_class(engine["type"]).judged(policy, engine["options"])
                return {"problems": list(judged.problems), "compared": list(judged.compared)}
            if frame.type == "traits":
                self._traits(frame.header)
            elif frame.type == "bind":
                self._bind(frame)
            elif frame.type == "cut":
                self._cut(CutOrder.from_json(frame.header["order"], frame.blob, self._spool))
        except ValueError as cause:
            # The text of a setting, which only the adapter can judge.
            keys = json.dumps(cause.keys if isinstance(cause, OptionError) else ())
            return {"failure": error(Reason.INVALID_FIELD, str(cause), field="options", keys=keys).failure.to_json()}
        except Exception as cause:
            failure = failure_of(cause, f"a {frame.type}")
            if failure.reason is Reason.OUT_OF_MEMORY:
                return {"over_limit": "memory"}
            return {"failure": failure.to_json()}
        return {}

    def _check(self, frame: Frame) -> dict[str, Any]:
        """Whether a text may run and what is known of it; with a policy in the frame, what runs in its place, too."""
        engine = self._engines[frame.header["engine"]]
        adapter, sql = engine_class(engine["type"]), frame.header["sql"]
        options = allowing(engine["type"], engine["options"], frame.header.get("allowed", ()))
        done: dict[str, Any] = {"analysis": adapter.analyse(sql, options).to_json()}
        if frame.blob:
            policy = replace(self._policies.decoded(frame.blob), **frame.header["policy"])
            found = adapter.secured(sql, policy, options)
            done["secured"] = asdict(found)
        return done

    def _bind(self, frame: Frame) -> None:
        """Values for the parameters of a named query; its declarations stand before the values in the blob."""
        size = frame.header["declared_bytes"]
        declarations = Declarations.of(frame.blob[:size])
        bound, types = declarations.bind(frame.blob[size:], is_positional=frame.header["is_positional"])
        self._send({"type": "bound", "types_bytes": len(types)}, types + bound)

    @contextmanager
    def _timed(self, cpu_seconds: float) -> Iterator[None]:
        """Raises _OutOfTime once so much processor time is used; code that is not Python is interrupted at its end."""
        self._is_timed = True
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds, REPEAT_SECONDS)
        try:
            yield
        finally:
            self._is_timed = False
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _out_of_time(self, _signal: int, _frame: FrameType | None) -> None:
        if self._is_timed:
            raise _OutOfTime

    def _warm_up(self) -> None:
        """Load what a check needs before the first one: its time limit is for the text, not for imports."""
        for engine in self._engines.values():
            # What is wrong with an engine is reported with its traits.
            with suppress(QueryEngineError, ValueError):
                engine_class(engine["type"]).analyse("SELECT 1", engine["options"])

    def _traits(self, header: dict[str, Any]) -> None:
        traits = engine_class(header["engine_type"]).traits(header["options"])
        fields = {field: getattr(traits, field) for field in traits.__dataclass_fields__}
        self._send({"type": "traits", "traits": fields})

    def _cut(self, order: CutOrder) -> None:
        page = cut(order)
        header = {
            "type": "page",
            "start_row": page.start_row,
            "row_count": page.row_count,
            "crc32c": page.crc32c,
            "is_arrow": page.is_arrow,
            "in_file_bytes": page.in_file_bytes,
        }
        self._send(header, page.payload)

    def _send(self, header: dict[str, Any], blob: bytes = b"") -> None:
        # A frame is sent whole or not at all.
        was_timed, self._is_timed = self._is_timed, False
        try:
            self._connection.sendall(encode(header, blob))
        except BrokenPipeError:
            # The server is gone; the main loop ends this process.
            return
        finally:
            self._is_timed = was_timed


def _translated(order: dict[str, Any]) -> dict[str, Any]:
    sql, source = order["sql"], order["source"]
    return {"sql": translated(sql, source, order["target"]), "normalised": facts_of(sql, source).normalised}
