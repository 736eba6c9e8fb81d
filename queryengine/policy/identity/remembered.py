"""Tokens that were verified, by their hash: the same token is not verified twice."""

import hashlib
from typing import Final

from queryengine.policy.identity.claims import Verified

TOKENS_MAX: Final = 20_000
BYTES_MAX: Final = 8 << 20
"""Of the tokens themselves, of which only what they say is kept; that takes several times as much."""


class Remembered:
    """What tokens gave; the oldest are forgotten first, as more come than are kept."""

    def __init__(self, *, tokens_max: int = TOKENS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._tokens_max = tokens_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._tokens: dict[bytes, tuple[Verified, int, int]] = {}
        """What a token gave, by which generation of keys, and how long it was."""

    def __len__(self) -> int:
        return len(self._tokens)

    def get(self, token: str, generation: int) -> Verified | None:
        """What was remembered by this generation of keys."""
        found = self._tokens.get(_hash(token))
        return None if found is None or found[1] != generation else found[0]

    def add(self, token: str, verified: Verified, generation: int) -> None:
        self.forget(token)
        self._tokens[_hash(token)] = verified, generation, len(token)
        self._bytes += len(token)
        while len(self._tokens) > self._tokens_max or self._bytes > self._bytes_max:
            _, _, size = self._tokens.pop(next(iter(self._tokens)))
            self._bytes -= size

    def forget(self, token: str) -> None:
        found = self._tokens.pop(_hash(token), None)
        if found is not None:
            self._bytes -= found[2]


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
