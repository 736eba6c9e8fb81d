"""Positions in a log as text that says nothing: not how much has changed, and not whether anything has.

A watcher who sees some of the queries of its tenant gets positions all the same, and the numbers in them would count
the changes of the others.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Final

_NONCE_BYTES: Final = 6
_NUMBER_BYTES: Final = 8
_TAG_BYTES: Final = 8


class Positions:
    """Those of one log; a number is written differently each time."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(8)
        self._key = secrets.token_bytes(32)

    def text(self, number: int) -> str:
        """A number as text of 47 characters, which begins with the name of the log."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._masked(nonce, number.to_bytes(_NUMBER_BYTES))
        return f"{self._name}.{urlsafe_b64encode(sealed + self._tag(sealed)).rstrip(b'=').decode()}"

    def number(self, text: str) -> int | None:
        """None for a text that was not made here."""
        name, _, rest = text.partition(".")
        try:
            found = urlsafe_b64decode(rest.encode() + b"=" * (-len(rest) % 4))
        except ValueError:
            return None
        sealed, tag = found[:-_TAG_BYTES], found[-_TAG_BYTES:]
        if name != self._name or not hmac.compare_digest(tag, self._tag(sealed)):
            return None
        return int.from_bytes(self._masked(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]))

    def _masked(self, nonce: bytes, number: bytes) -> bytes:
        mask = blake2b(nonce, key=self._key, digest_size=_NUMBER_BYTES, person=b"mask").digest()
        return bytes(left ^ right for left, right in zip(number, mask, strict=True))

    def _tag(self, sealed: bytes) -> bytes:
        return blake2b(sealed, key=self._key, digest_size=_TAG_BYTES, person=b"tag").digest()
