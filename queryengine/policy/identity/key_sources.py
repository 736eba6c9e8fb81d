"""Where the keys of an issuer come from: the configuration, or a URL that is looked at again and again."""

from collections.abc import Sequence
from typing import Protocol

from queryengine.policy.identity.verifying_keys import VerifyingKey


class KeySource(Protocol):
    """The keys of one issuer."""

    @property
    def generation(self) -> int:
        """Another number once the keys have changed: what was verified before is to be verified again."""
        ...

    async def find(self, kid: str, algorithm: str) -> Sequence[VerifyingKey]:
        """The keys that may have signed a token with this kid, which is empty for one without, by this algorithm; none
        for a kid that is not known. Raises AUTHENTICATION_UNAVAILABLE.
        """
        ...


class ConfiguredKeys:
    """Keys that stay as they are. One without a kid is tried for every token."""

    generation = 0

    def __init__(self, keys: Sequence[VerifyingKey]) -> None:
        self._keys = tuple(keys)

    async def find(self, kid: str, algorithm: str) -> Sequence[VerifyingKey]:
        fit = [each for each in self._keys if algorithm in each.algorithms]
        return [each for each in fit if not kid or not each.kid or each.kid == kid]
