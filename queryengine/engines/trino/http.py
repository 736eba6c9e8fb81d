"""Requests to a Trino coordinator: bounded in time, repeated where that is safe, credentials for nobody else.

This and `trino_query` are a client of Trino's REST protocol of their own, on urllib3. The client of the `trino`
package builds a Python row from every JSON row before anybody sees a page, bounds its repeats by their number and not
by time, cannot be waited for when it cancels, and keeps no query alive whose consumer is slow. Its extra brings the
libraries that are used here.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, ProtocolError
from urllib3.exceptions import TimeoutError as NoAnswerInTime

from queryengine.engines.trino.options import TrinoOptions, origin

CONNECTIONS_KEPT: Final = 8
"""Connections that stay open; more are opened when there are more requests at once."""
OK: Final = 200
BUSY: Final = frozenset({429, 502, 503, 504})
"""Answers that say: later."""
PAUSE_SECONDS: Final = 0.1
PAUSE_SECONDS_MAX: Final = 1.0
BODY_SHOWN: Final = 300


class Unreachable(Exception):  # noqa: N818 - what is the case, not what kind of error.
    """No answer: not connected, cut off, too slow, or busy for too long."""


class Refused(Exception):  # noqa: N818 - as above.
    """An answer, but not the one that was asked for."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        # Anything behind the first line is a stack trace.
        self.words = body[:BODY_SHOWN].decode(errors="replace").strip().partition("\n")[0]
        super().__init__(f"HTTP {status}: {self.words}")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request may take, and who may end the waiting between its repeats."""

    connect_seconds: float
    read_seconds: float
    retry_seconds: float
    ended: threading.Event


class TrinoHttp:
    """One coordinator. Thread-safe."""

    def __init__(self, options: TrinoOptions) -> None:
        self._options = options
        self._origin = options.origin
        self._secret = _secret(options)
        tls: dict[str, Any] = {}
        if options.origin[0] == "https":
            tls["cert_reqs"] = "CERT_REQUIRED" if options.verify else "CERT_NONE"
            if isinstance(options.verify, str):
                tls["ca_certs"] = options.verify
        self._pools = urllib3.PoolManager(num_pools=CONNECTIONS_KEPT, maxsize=CONNECTIONS_KEPT, retries=False, **tls)

    @property
    def root(self) -> str:
        return self._options.url.rstrip("/")

    def patience(self, ended: threading.Event) -> Patience:
        options = self._options
        return Patience(options.connect_timeout_seconds, options.read_timeout_seconds, options.retry_seconds, ended)

    def ask(
        self,
        method: str,
        url: str,
        patience: Patience,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> dict[str, Any]:
        """The object that the coordinator answers with. Raises Unreachable or Refused."""
        answer = self.fetch(method, url, patience, headers=headers, body=body)
        try:
            found = orjson.loads(answer)
        except orjson.JSONDecodeError as cause:
            raise Refused(OK, b"the answer is not JSON") from cause
        if not isinstance(found, dict):
            raise Refused(OK, b"the answer is not a JSON object")
        return found

    def fetch(
        self,
        method: str,
        url: str,
        patience: Patience,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> bytes:
        """The body of a good answer. A request is repeated when nobody can have acted on it, and a reading one
        also when its answer was cut off. Raises Unreachable or Refused.
        """
        deadline = time.monotonic() + patience.retry_seconds
        pause = PAUSE_SECONDS
        while True:
            try:
                status, answer = self._once(method, url, patience, headers or {}, body)
                if status < 300:
                    return answer
                problem: Exception = Refused(status, answer)
                again = status in BUSY
            except HTTPError as cause:
                problem = Unreachable(_words(cause))
                problem.__cause__ = cause
                again = _is_worth_repeating(cause, method)
            if not again or time.monotonic() + pause > deadline or patience.ended.wait(pause):
                break
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
        if isinstance(problem, Refused) and problem.status in BUSY:
            raise Unreachable(str(problem)) from problem
        raise problem

    def close(self) -> None:
        self._pools.clear()

    def _once(
        self, method: str, url: str, patience: Patience, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        # A reference to a segment leads to a store that has no business with our credentials.
        secret = self._secret if origin(url) == self._origin else {}
        answer = self._pools.request(
            method,
            url,
            body=body,
            headers={**headers, **secret},
            timeout=urllib3.Timeout(connect=patience.connect_seconds, read=patience.read_seconds),
            redirect=False,
        )
        return answer.status, answer.data


def _secret(options: TrinoOptions) -> dict[str, str]:
    if options.token:
        return {"Authorization": f"Bearer {options.token}"}
    if options.password:
        return dict(urllib3.make_headers(basic_auth=f"{options.user}:{options.password}"))
    return {}


def _is_worth_repeating(cause: HTTPError, method: str) -> bool:
    if isinstance(cause, NewConnectionError):
        return True
    return isinstance(cause, ProtocolError) and method != "POST"


def _words(cause: HTTPError) -> str:
    """What is wrong, without the addresses of objects."""
    inner = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(inner, NewConnectionError):
        return str(inner).partition(": ")[2] or str(inner)
    if isinstance(inner, NoAnswerInTime):
        return "no answer in time"
    if isinstance(inner, ProtocolError):
        return f"connection lost: {inner.args[-1] if inner.args else inner}"
    return str(inner)
