"""The issuers whose tokens are verified, as the settings name them, and the fetching of their keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from queryengine.domain.clock import Clock
from queryengine.live.tasks import Tasks
from queryengine.policy.fetching import Document
from queryengine.policy.identity import Authenticator
from queryengine.policy.identity.claims import ClaimRules
from queryengine.policy.identity.key_set_url import KeySetLimits, KeySetUrl
from queryengine.policy.identity.key_sources import ConfiguredKeys
from queryengine.policy.identity.tokens import Tokens
from queryengine.settings.jwt import JwtSettings

FETCH_SECONDS: Final = 5.0
"""For one fetch of the keys of an issuer."""
KEY_SET_BYTES_MAX: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class Issuer:
    """One of them, and its keys where they have to be fetched."""

    settings: JwtSettings
    authenticator: Authenticator
    keys: KeySetUrl | None = None


class Issuers:
    """Those in force. Close it."""

    def __init__(self, clock: Clock, tasks: Tasks) -> None:
        self._clock = clock
        self._tasks = tasks
        self._in_force: Sequence[Issuer] = ()

    def prepare(self, configured: Sequence[JwtSettings]) -> Sequence[Issuer]:
        """An issuer whose settings are the same is the one in force, with what it remembers; others do nothing yet."""
        kept = {each.settings.issuer: each for each in self._in_force}
        return [
            found if (found := kept.get(each.issuer)) is not None and found.settings == each else self._made(each)
            for each in configured
        ]

    def adopt(self, issuers: Sequence[Issuer]) -> None:
        """Put these in force: fetch keys for those that are new, and for none that is gone."""
        before, self._in_force = self._in_force, issuers
        for each in issuers:
            if each.keys is not None and each not in before:
                each.keys.start(self._tasks)
        for each in before:
            if each.keys is not None and each not in issuers:
                self._tasks.spawn(each.keys.close(), "keys of an issuer that is gone")

    async def close(self) -> None:
        for each in self._in_force:
            if each.keys is not None:
                await each.keys.close()

    def _made(self, settings: JwtSettings) -> Issuer:
        algorithms = frozenset(settings.algorithms)
        if not settings.jwks_url:
            configured = ConfiguredKeys(settings.verifying_keys())
            return Issuer(settings, Tokens(_rules(settings), configured, algorithms=algorithms, clock=self._clock))
        document = Document(
            settings.jwks_url, seconds=FETCH_SECONDS, bytes_max=KEY_SET_BYTES_MAX, authorities=settings.jwks_ca
        )
        limits = KeySetLimits(refresh_seconds=settings.jwks_refresh_seconds, stale_seconds=settings.jwks_stale_seconds)
        keys = KeySetUrl(document, algorithms=algorithms, limits=limits, clock=self._clock)
        return Issuer(settings, Tokens(_rules(settings), keys, algorithms=algorithms, clock=self._clock), keys)


def _rules(settings: JwtSettings) -> ClaimRules:
    return ClaimRules(
        issuer=settings.issuer,
        audiences=frozenset(settings.audience),
        tenant_claim=settings.tenant_claim,
        subject_claim=settings.subject_claim,
        roles_claim=settings.roles_claim,
        roles=settings.roles,
        default_roles=frozenset(settings.default_roles),
        leeway_seconds=settings.leeway_seconds,
        require_uuids=settings.require_uuids,
    )
