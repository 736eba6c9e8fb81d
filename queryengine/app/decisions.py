"""The decision point of the settings, and its replacement while the server runs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from queryengine.app.reload import Prepared
from queryengine.policy.decisions.decision_point import DecisionPoint, Endpoint
from queryengine.policy.fetching import Document
from queryengine.settings import Settings
from queryengine.settings.decision_point import DecisionPointSettings

ANSWER_BYTES_MAX: Final = 256 << 10
THREADS: Final = 8
"""Questions that are open at the same time; each waits within its own timeout."""


def endpoint(settings: DecisionPointSettings | None) -> Endpoint | None:
    if settings is None:
        return None
    headers = {} if settings.token is None else {"Authorization": f"Bearer {settings.token.reveal()}"}
    document = Document(
        settings.url.rstrip("/") + settings.path,
        seconds=settings.timeout_seconds,
        bytes_max=ANSWER_BYTES_MAX,
        authorities=settings.ca,
        headers=headers,
        threads=THREADS,
    )
    return Endpoint(document=document, cache_seconds=settings.cache_seconds)


class DecisionsInForce:
    """A part of the server that takes over another decision point."""

    def __init__(self, decisions: DecisionPoint, settings: Settings) -> None:
        self._decisions = decisions
        self._now = settings.policies.decision_point

    def files(self, settings: Settings) -> Iterable[Path]:
        found = settings.policies.decision_point
        return () if found is None or found.ca is None else (found.ca,)

    async def prepare(self, settings: Settings) -> Prepared:
        return Prepared(commit=lambda: self._adopt(settings.policies.decision_point))

    def _adopt(self, settings: DecisionPointSettings | None) -> None:
        if settings != self._now:
            self._now = settings
            self._decisions.adopt(endpoint(settings))
