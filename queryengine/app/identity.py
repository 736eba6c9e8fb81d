"""What says who calls: the authenticators that the settings name, and the API keys behind one of them."""

from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from queryengine.accepting.keys import Keys
from queryengine.app.certificates import certificate_rule
from queryengine.app.issuers import Issuer, Issuers
from queryengine.app.reload import Prepared
from queryengine.app.shared import Shared
from queryengine.app.state import State
from queryengine.domain.clock import Clock
from queryengine.domain.errors import QueryEngineError
from queryengine.policy.identity import Authentication, Authenticator, Unverified
from queryengine.policy.identity.api_keys import ApiKeys
from queryengine.policy.identity.key_index import KeyIndex
from queryengine.policy.identity.mtls import ClientCertificates
from queryengine.settings import Settings, SettingsError
from queryengine.settings.auth import ApiKeySettings, AuthenticatorSettings, UnverifiedSettings
from queryengine.settings.jwt import JwtSettings
from queryengine.settings.mtls import MtlsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Of one server."""

    authentication: Authentication
    authenticators: "Authenticators"
    keys: Keys
    index: KeyIndex


async def make_identity(settings: Settings, state: State, shared: Shared, closing: AsyncExitStack) -> Identity:
    """Raises SettingsError."""
    index = KeyIndex(state.store.keys, shared.clock, shared.tasks)
    closing.push_async_callback(index.close)
    authentication = Authentication((), shared.clock)
    issuers = Issuers(shared.clock, shared.tasks)
    closing.push_async_callback(issuers.close)
    authenticators = Authenticators(authentication, index, issuers, shared.clock)
    (await authenticators.prepare(settings)).commit()
    keys = Keys(state.store.keys, index, shared.clock)
    return Identity(authentication=authentication, authenticators=authenticators, keys=keys, index=index)


class Authenticators:
    """Makes them, and puts them in force, at the start and again while the server runs."""

    def __init__(self, authentication: Authentication, index: KeyIndex, issuers: Issuers, clock: Clock) -> None:
        self._authentication = authentication
        self._issuers = issuers
        self._clock = clock
        self._index = index
        # One for as long as the server runs: open streams ask it whether their key is still valid.
        self._api_keys = ApiKeys(index)

    def files(self, settings: Settings) -> Iterable[Path]:  # noqa: ARG002 - The signature is the protocol's.
        return ()

    async def prepare(self, settings: Settings) -> Prepared:
        configured = settings.auth.authenticators
        keyed = [each for each in configured if isinstance(each, ApiKeySettings)]
        if keyed:
            try:
                await self._index.begin()
            except QueryEngineError as cause:
                where = settings.origin("auth", "authenticators")
                raise SettingsError(f"{where}: auth.authenticators: {cause.failure.message}") from cause
        admin_keys = [secret.reveal() for each in keyed for secret in each.admin_keys]
        issuers = self._issuers.prepare([each for each in configured if isinstance(each, JwtSettings)])
        made = [self._authenticator(each, configured, issuers) for each in configured]

        def commit() -> None:
            self._issuers.adopt(issuers)
            self._api_keys.adopt(admin_keys)
            self._authentication.adopt(made)

        return Prepared(commit=commit)

    def _authenticator(
        self,
        settings: AuthenticatorSettings,
        configured: Sequence[AuthenticatorSettings],
        issuers: Sequence[Issuer],
    ) -> Authenticator:
        if isinstance(settings, JwtSettings):
            return next(each.authenticator for each in issuers if each.settings == settings)
        if isinstance(settings, MtlsSettings):
            return ClientCertificates([certificate_rule(each) for each in settings.rules], self._clock)
        if isinstance(settings, UnverifiedSettings):
            return Unverified(stands_alone=len(configured) == 1)
        return self._api_keys
