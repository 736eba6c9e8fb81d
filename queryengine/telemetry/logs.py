"""How the service logs: one line per event, as text for people or as JSON for machines.

The server and every worker process write to one standard error, so each sets itself up with the same style.
"""

import json
import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from queryengine.domain.texts import shortened

logger = logging.getLogger(__name__)

MESSAGE_BYTES_MAX: Final = 16 << 10
HEADER_LINE_SECONDS: Final = 60.0
TRACEBACK_BYTES_MAX: Final = 64 << 10
"""With the message of an exception, which may be an engine's own of any length; it comes last."""


@dataclass(frozen=True, slots=True)
class LogStyle:
    """What is logged, and how."""

    level: str = "info"
    as_json: bool = False


class JsonFormatter(logging.Formatter):
    """One JSON object per line; control characters cannot break out of it."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname,
            "logger": record.name,
            "message": shortened(record.getMessage(), MESSAGE_BYTES_MAX),
        }
        if record.exc_info:
            fields["exception"] = shortened(self.formatException(record.exc_info), TRACEBACK_BYTES_MAX)
        return json.dumps(fields)


class TextFormatter(logging.Formatter):
    """For people; line breaks inside a message are escaped, so that a message cannot forge a line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        message = shortened(record.message, MESSAGE_BYTES_MAX)
        record.message = message.replace("\n", "\\n").replace("\r", "\\r")
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return shortened(super().formatException(ei), TRACEBACK_BYTES_MAX)


class HeaderLines(logging.Filter):
    """What gRPC logs of a header whose bytes are not text: in one line, and at most once a minute, since any caller can
    send such headers. Everything else of that logger passes.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._next = -math.inf
        self._held_back = 0

    def filter(self, record: logging.LogRecord) -> bool:
        cause = record.exc_info[1] if record.exc_info else None
        if not isinstance(cause, UnicodeDecodeError):
            return True
        if self._now() < self._next:
            self._held_back += 1
            return False
        more = f"; {self._held_back} more like it since the last such line" if self._held_back else ""
        record.msg, record.args = f"a call has a header whose bytes are not text: {cause.object!r:.200}{more}", ()
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.exc_info = record.exc_text = None
        self._next, self._held_back = self._now() + HEADER_LINE_SECONDS, 0
        return True


def set_up_logging(style: LogStyle) -> None:
    """Send the log to standard error. To be called by the entry point of a process; again for another style."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style.as_json else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(style.level.upper())
    if style.as_json:
        sys.excepthook = _log_uncaught
    logging.getLogger("grpc._cython.cygrpc").filters[:] = [HeaderLines()]
    # Migrations log every step they look at; only problems are of interest.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _log_uncaught(kind: type[BaseException], cause: BaseException, trace: TracebackType | None) -> None:
    logger.critical("the process ends by an error that nobody expected", exc_info=(kind, cause, trace))
