"""The text of an API key: `qe_<id>_<secret>`, made of letters and digits, so that a double click takes all of it.

The secret is 256 random bits in 43 characters, and a CRC-32 of all before it in 6 more: programs that search source
code and logs for secrets can tell a key from what merely looks like one without asking anybody. What is stored of a key
is the SHA-256 of its text. A slow hash protects passwords, which can be guessed; nobody guesses 256 random bits, and
the hash is taken for every call.
"""

import hashlib
import re
import secrets
import string
import zlib
from typing import Final, NamedTuple

PREFIX: Final = "qe_"
ID_CHARACTERS: Final = 12
SECRET_BITS: Final = 256
_SECRET_CHARACTERS: Final = 43
_CHECK_CHARACTERS: Final = 6
_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM: Final = re.compile(
    rf"{PREFIX}([0-9A-Za-z]{{{ID_CHARACTERS}}})_[0-9A-Za-z]{{{_SECRET_CHARACTERS + _CHECK_CHARACTERS}}}"
)


class NewKey(NamedTuple):
    """A key that was just made."""

    key_id: str
    text: str
    """The key itself, for whoever asked for it and for nobody else."""
    secret_hash: bytes


def new_key() -> NewKey:
    key_id = "".join(secrets.choice(_DIGITS) for _ in range(ID_CHARACTERS))
    checked = f"{PREFIX}{key_id}_{_base62(secrets.randbits(SECRET_BITS), _SECRET_CHARACTERS)}"
    text = checked + _check(checked)
    return NewKey(key_id, text, secret_hash(text))


def secret_hash(text: str) -> bytes:
    """What a key is known by: of any text, as also what is no key is looked for in the same time."""
    return hashlib.sha256(text.encode(errors="replace")).digest()


def key_id_of(text: str) -> str | None:
    """The id in the text of a key; None for what is no key, by its form and its check characters."""
    match = _FORM.fullmatch(text)
    if match is None or _check(text[:-_CHECK_CHARACTERS]) != text[-_CHECK_CHARACTERS:]:
        return None
    return match[1]


def _check(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECK_CHARACTERS)


def _base62(number: int, characters: int) -> str:
    digits = []
    for _ in range(characters):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
