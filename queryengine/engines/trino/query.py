"""One query in Trino's REST protocol: submit, follow nextUri, look after it, end it.

A page names the request that brings the next one. A client that does not ask for long is taken for gone, so a query
that waits for its consumer is kept alive by `beat`.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from queryengine.engines.base import Progress
from queryengine.engines.trino.http import Patience, Refused, TrinoHttp, Unreachable

logger = logging.getLogger(__name__)

ENCODINGS: Final = "json+zstd, json+lz4, json"
"""Of segments, best first."""
PAGE_SIZE: Final = "4MB"
FINAL: Final = frozenset({"FINISHED", "FAILED"})
DELETE_AGAIN_SECONDS: Final = 0.25
LOOK_SECONDS: Final = 0.02
KILL_AFTER_SECONDS: Final = 2.0
"""How long a query may outlive the deletion of its result before it is killed by name."""
CANCEL_SECONDS_MAX: Final = 15.0
SILENCE_SECONDS: Final = 3.0
"""How long Trino may be out of reach before nobody waits for its word any more."""
SHORT_SECONDS: Final = 3.0
"""How long a request may take that only looks after a query."""


class QueryFailed(Exception):  # noqa: N818 - it is what Trino says of the query.
    """Trino's account of why a query failed."""

    def __init__(self, account: Mapping[str, Any]) -> None:
        super().__init__(str(account.get("message") or account.get("errorName") or "the query failed"))
        self.account = account


@dataclass(frozen=True, slots=True)
class Page:
    """What one request brought."""

    columns: Sequence[Mapping[str, Any]] | None
    """None until Trino knows them; then in every page."""
    data: Any
    """Rows as lists, a mapping that names segments, or nothing."""


class TrinoQuery:
    """`submit` and `advance` are called from one thread; everything else from any."""

    def __init__(self, http: TrinoHttp, headers: Mapping[str, str]) -> None:
        self._http = http
        self._headers = headers
        self._abandoned = threading.Event()
        self._deleting = threading.Lock()
        self._next_uri = ""
        self._deleted_at = 0.0
        self._asked_at = time.monotonic()
        self._progress = Progress()
        self._is_over = True
        """Trino has nothing of it: not submitted yet, read to the end, or ended."""
        self.end_confirmed = True
        """False once `end` returned without Trino's word."""

    @property
    def progress(self) -> Progress:
        return self._progress

    @property
    def has_next(self) -> bool:
        return bool(self._next_uri)

    def submit(self, sql: str) -> Page:
        """Raises QueryFailed, Unreachable, Refused, as `advance` does."""
        return self._page("POST", f"{self._http.root}/v1/statement", sql.encode())

    def advance(self) -> Page:
        """The next page; waits for about a second for one with data. Only while there is a next one."""
        joint = "&" if "?" in self._next_uri else "?"
        return self._page("GET", f"{self._next_uri}{joint}targetResultSize={PAGE_SIZE}")

    def segment(self, url: str, headers: Mapping[str, str]) -> bytes:
        """The bytes of a segment, from wherever it lies. To Trino that is no sign of life."""
        return self._http.fetch("GET", url, self._patience(), headers=headers)

    def acknowledge(self, url: str, headers: Mapping[str, str]) -> None:
        """Allow the store to remove a segment. It removes all of them some time later anyway."""
        try:
            self._http.fetch("GET", url, self._short(), headers=headers)
        except (Unreachable, Refused) as cause:
            logger.info("a segment was not acknowledged: %s", cause)

    def beat(self, idle_seconds: float) -> None:
        """Show Trino that somebody is still there, when nothing was asked for so long. Never raises."""
        if self._is_over or self._abandoned.is_set() or time.monotonic() - self._asked_at < idle_seconds:
            return
        self._asked_at = time.monotonic()
        try:
            self._http.fetch("HEAD", self._next_uri, self._short(), headers=self._headers)
        except (Unreachable, Refused) as cause:
            # The next request for rows reports it.
            logger.info("query %s did not answer a heartbeat: %s", self._progress.engine_query_id, cause)

    def interrupt(self) -> None:
        """Delete the result that `submit` or `advance` waits for, and stop repeating their requests. Never raises."""
        self._abandoned.set()
        if self._next_uri and time.monotonic() - self._deleted_at > DELETE_AGAIN_SECONDS:
            self._deleted_at = time.monotonic()
            self._delete()

    def end(self) -> None:
        """Return when Trino itself says that the query has ended, or does not say for too long. Never raises."""
        with self._deleting:
            if self._is_over:
                return
            self._abandoned.set()
            begun = time.monotonic()
            is_killed = False
            while (waited := time.monotonic() - begun) < CANCEL_SECONDS_MAX:
                self.interrupt()
                has_ended = self._has_ended()
                if has_ended:
                    self._is_over = True
                    return
                if has_ended is None and waited > SILENCE_SECONDS:
                    break
                if waited > KILL_AFTER_SECONDS and not is_killed:
                    is_killed = True
                    self._kill()
                threading.Event().wait(LOOK_SECONDS)
            # It ends by its deadline, or when Trino finds that nobody asks for it.
            self._is_over = True
            self.end_confirmed = False
            logger.warning("query %s: Trino did not confirm its end", self._progress.engine_query_id)

    def _page(self, method: str, url: str, body: bytes | None = None) -> Page:
        self._asked_at = time.monotonic()
        answer = self._http.ask(method, url, self._patience(), headers=self._headers, body=body)
        self._asked_at = time.monotonic()
        self._next_uri = answer.get("nextUri") or ""
        self._is_over = not self._next_uri
        failure = answer.get("error")
        self._note(answer, is_complete=self._is_over and not failure)
        if failure:
            raise QueryFailed(failure)
        return Page(answer.get("columns"), answer.get("data"))

    def _note(self, answer: Mapping[str, Any], *, is_complete: bool) -> None:
        stats = answer.get("stats", {})
        former = self._progress
        percentage = stats.get("progressPercentage")
        fraction = former.fraction if percentage is None else max(former.fraction or 0.0, min(percentage / 100, 1.0))
        self._progress = Progress(
            fraction=1.0 if is_complete else fraction,
            rows_scanned=stats.get("processedRows"),
            # A connector that makes its data up reads no bytes.
            bytes_scanned=stats.get("physicalInputBytes") or None,
            splits_done=stats.get("completedSplits"),
            splits_total=stats.get("totalSplits"),
            engine_state=stats.get("state", ""),
            engine_query_id=answer.get("id") or former.engine_query_id,
            engine_query_url=answer.get("infoUri") or former.engine_query_url,
        )

    def _delete(self) -> None:
        try:
            self._http.fetch("DELETE", self._next_uri, self._short(), headers=self._headers)
        except (Unreachable, Refused) as cause:
            logger.info("query %s was not deleted: %s", self._progress.engine_query_id, cause)

    def _has_ended(self) -> bool | None:
        """None when Trino does not say."""
        url = f"{self._http.root}/v1/query/{self._progress.engine_query_id}?pruned=true"
        try:
            return self._http.ask("GET", url, self._short(), headers=self._headers).get("state") in FINAL
        except Refused as cause:
            # Gone from its history, or of a coordinator that was started anew.
            return cause.status in {404, 410}
        except Unreachable:
            return None

    def _kill(self) -> None:
        """Kill it by name, which needs a right of its own in Trino."""
        sql = f"CALL system.runtime.kill_query('{self._progress.engine_query_id}', 'cancelled')"
        killing = TrinoQuery(self._http, self._headers)
        try:
            killing.submit(sql)
            while killing.has_next:
                killing.advance()
        except (QueryFailed, Unreachable, Refused) as cause:
            logger.warning("query %s was not killed: %s", self._progress.engine_query_id, cause)

    def _patience(self) -> Patience:
        return self._http.patience(self._abandoned)

    def _short(self) -> Patience:
        # Not repeated: the next look comes by itself.
        return Patience(SHORT_SECONDS, SHORT_SECONDS, 0.0, self._abandoned)
