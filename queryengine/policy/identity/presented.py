"""What a call presents to say who asks: its metadata, its peer's address and the peer's certificate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from queryengine.domain.errors import Reason, error

TENANT_KEY: Final = "x-tenant-id"
SUBJECT_KEY: Final = "x-user-id"
AUTHORIZATION_KEY: Final = "authorization"
DEFAULT_TENANT: Final = "default"
NAME_CHARACTERS_MAX: Final = 128
"""Of a tenant and of a subject."""
NAME_FORM: Final = f"at most {NAME_CHARACTERS_MAX} printable ASCII characters, without a blank at either end"


def is_name(value: str) -> bool:
    """Whether a text can name a tenant or a subject: NAME_FORM. An empty one does, too."""
    # HTTP allows ASCII alone here, and gRPC reads bytes that are not UTF-8 as Latin-1: two tenants could have one name.
    # To a CHAR(n) of a database, and to many collations, a name with a blank at its end equals the one without.
    is_plain = len(value) <= NAME_CHARACTERS_MAX and value.isascii() and value.isprintable()
    return is_plain and value == value.strip(" ")


@dataclass(frozen=True, slots=True)
class Authorization:
    """The authorization of a call, by its scheme, such as `bearer`. Neither part is fit for a message: a client that
    forgets the scheme has its secret in the place of it.
    """

    scheme: str
    """In lower case."""
    value: str


@dataclass(frozen=True, slots=True)
class Presented:
    """As it came; nothing of it is verified but the certificates, which the TLS handshake has verified."""

    metadata: Sequence[tuple[str, str | bytes]]
    """Keys are in lower case. A key may come more than once."""
    peer: str = ""
    """As gRPC writes it: `ipv4:192.0.2.1:50000`, `ipv6:%5B::1%5D:50000`, `unix:` or `unix:/path`."""
    certificates: Sequence[bytes] = ()
    """PEM, the peer's own first; empty unless the connection has a verified client certificate."""

    def has(self, key: str) -> bool:
        return any(each == key for each, _ in self.metadata)

    def name(self, key: str) -> str:
        """The name of a tenant or a subject under a key; empty without it. Raises INVALID_FIELD.

        Twice is refused: a proxy may have added its own to what a client made up, and nobody knows which of them
        counts.
        """
        values = [str(value) for each, value in self.metadata if each == key]
        if not values:
            return ""
        if len(values) > 1:
            message = f"{key} must be sent once, not {len(values)} times"
            raise error(Reason.INVALID_FIELD, message, field=key)
        if not is_name(values[0]):
            message = f"{key} must be {NAME_FORM}"
            raise error(Reason.INVALID_FIELD, message, field=key)
        return values[0]

    def authorization(self) -> Authorization | None:
        """None without one. Raises CREDENTIAL_INVALID when there are several."""
        values = [str(value) for key, value in self.metadata if key == AUTHORIZATION_KEY]
        if not values:
            return None
        if len(values) > 1:
            message = f"authorization must be sent once, not {len(values)} times; send one credential"
            raise error(Reason.CREDENTIAL_INVALID, message)
        scheme, _, value = values[0].strip().partition(" ")
        return Authorization(scheme.lower(), value.strip())
