"""The keys that an issuer publishes at a URL, as a JWK Set.

Calls are answered from memory. The set is fetched ahead of need, every so many seconds; while that fails, the keys
that are there go on, up to a limit. Only a token with a kid that is not known makes a call wait for a fetch, together
with all others that wait for the same: at most one every 30 seconds, and not again for a kid that a fetch has just
shown to be unknown.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from queryengine.domain.clock import Clock
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.live.tasks import Tasks
from queryengine.policy.fetching import Document, FetchFailed
from queryengine.policy.identity.verifying_keys import VerifyingKey, keys_of

FORCED_SECONDS: Final = 30.0
"""Between two fetches that unknown kids cause."""
UNKNOWN_SECONDS: Final = 120.0
"""For which a kid that a fetch did not bring causes no other."""
UNKNOWN_MAX: Final = 1000
"""Kids that are remembered so; the oldest are forgotten first."""
RETRY_SECONDS: Final = 15.0
"""After a fetch that failed."""
KEYS_MAX: Final = 100
"""Of one set; a larger one is refused."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySetLimits:
    """How fresh keys are."""

    refresh_seconds: float
    """Between two fetches."""
    stale_seconds: float
    """For which keys go on when fetches fail."""


class KeySetUrl:
    """The key source of an issuer with a URL. `start` it, and close it."""

    def __init__(self, document: Document, *, algorithms: frozenset[str], limits: KeySetLimits, clock: Clock) -> None:
        """Only keys for `algorithms` are taken over. Closes the document with itself."""
        self._document = document
        self._algorithms = algorithms
        self._limits = limits
        self._clock = clock
        self._keys: Sequence[VerifyingKey] = ()
        self._key_set: Any = None
        """The document that they were read from."""
        self._fetched: float | None = None
        """When the keys were fetched."""
        self._tried: float | None = None
        """When a fetch ended last, well or not."""
        self._fetching: asyncio.Task[None] | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._unknown: dict[str, float] = {}
        """Kids that a fetch did not bring, and until when they cause no other."""
        self.generation = 0

    async def find(self, kid: str, algorithm: str) -> Sequence[VerifyingKey]:
        """As KeySource has it."""
        found = self._known(kid, algorithm)
        if not found and self._may_force(kid):
            await self.refresh()
            found = self._known(kid, algorithm)
            if not found:
                self._remember_unknown(kid)
        if self._fetched is None or self._now() - self._fetched > self._limits.stale_seconds:
            raise self._unavailable()
        return found

    def seconds_to_refresh(self) -> float:
        """Until the next fetch is due."""
        if self._tried is None:
            return 0.0
        went_well = self._fetched == self._tried
        due = self._tried + (self._limits.refresh_seconds if went_well else RETRY_SECONDS)
        return max(0.0, due - self._now())

    async def refresh(self) -> None:
        """Fetch the keys, together with whoever waits for a fetch that is going on. A failure is in the log, and
        changes nothing.
        """
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(self._take_over())
            self._fetching.add_done_callback(self._fetch_ended)
        # A caller that leaves does not end it for the others.
        await asyncio.shield(self._fetching)

    def start(self, tasks: Tasks) -> None:
        """Fetch the keys now, and whenever that is due from then on."""
        self._upkeep = tasks.spawn(self._keep_fresh(), "keys of an issuer")

    async def close(self) -> None:
        """End that, and a fetch that is going on. Idempotent."""
        running = [each for each in (self._upkeep, self._fetching) if each is not None]
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._document.close()

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(self.seconds_to_refresh())
            if self.seconds_to_refresh() <= 0:
                await self.refresh()

    def _known(self, kid: str, algorithm: str) -> Sequence[VerifyingKey]:
        return [each for each in self._keys if algorithm in each.algorithms and (not kid or each.kid == kid)]

    def _may_force(self, kid: str) -> bool:
        """Whether a token that no key is known for is a reason to fetch."""
        if self._fetching is not None or self._tried is None:
            return True
        now = self._now()
        return now - self._tried >= FORCED_SECONDS and self._unknown.get(kid, now) <= now

    def _remember_unknown(self, kid: str) -> None:
        self._unknown.pop(kid, None)
        self._unknown[kid] = self._now() + UNKNOWN_SECONDS
        if len(self._unknown) > UNKNOWN_MAX:
            del self._unknown[next(iter(self._unknown))]

    async def _take_over(self) -> None:
        try:
            key_set = json.loads(await self._document.fetch())
            if not isinstance(key_set, dict):
                raise ValueError("it is no JWK Set")  # noqa: TRY004, TRY301 - A document, no argument.
            if key_set != self._key_set:
                self._adopt(key_set)
        except (FetchFailed, ValueError, RecursionError) as cause:
            self._tried = self._now()
            logger.warning("the keys at %s cannot be fetched: %s", self._document.url, cause)
            return
        self._tried = self._fetched = self._now()

    def _adopt(self, key_set: dict[str, Any]) -> None:
        keys, passed_over = keys_of(key_set, self._algorithms, keys_max=KEYS_MAX)
        for each in passed_over:
            logger.info("the keys at %s: %s", self._document.url, each)
        if not keys:
            raise ValueError(f"it has no key for {', '.join(sorted(self._algorithms))}")
        self._keys, self._key_set = keys, key_set
        self._unknown.clear()
        self.generation += 1
        logger.info("the keys at %s: %d taken over", self._document.url, len(keys))

    def _fetch_ended(self, _: object) -> None:
        self._fetching = None

    def _unavailable(self) -> QueryEngineError:
        message = "the credential cannot be verified, as the keys of its issuer cannot be fetched; try again later"
        return error(Reason.AUTHENTICATION_UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS, authenticator="jwt")

    def _now(self) -> float:
        return self._clock.monotonic()
