"""Client certificates as credentials: the name in one says which tenant, subject and roles its holder has.

The TLS handshake has verified the certificate. Here it is read, once for each certificate, and matched by the rules of
the configuration in their order.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from queryengine.domain.clock import Clock
from queryengine.domain.errors import Reason, error
from queryengine.domain.identity import Principal, Role
from queryengine.domain.texts import shortened
from queryengine.policy.identity.expiry import expired
from queryengine.policy.identity.name_pattern import NamePattern
from queryengine.policy.identity.presented import Presented, is_name

CERTIFICATES_REMEMBERED: Final = 4096
SHOWN_BYTES: Final = 200
_UNREADABLE: Final = (ValueError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType)
"""What reading a certificate raises that the handshake accepted, as it looks at fewer of its fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRule:
    """Whose certificates these are. Placeholders other than tenant and subject become claims."""

    uri: NamePattern | None = None
    """Of the certificate's URI, such as a SPIFFE id."""
    common_name: NamePattern | None = None
    tenant: str = ""
    """Where the pattern has no {tenant}."""
    subject: str = ""
    """Where the pattern has no {subject}; empty stands for the whole name."""
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class _Names:
    """What a certificate says of its holder."""

    uris: Sequence[str]
    common_names: Sequence[str]


class ClientCertificates:
    """The authenticator `mtls`."""

    kind = "mtls"
    expects = "a client certificate, on a connection with TLS"
    by_certificate = True

    def __init__(self, rules: Sequence[CertificateRule], clock: Clock) -> None:
        self._rules = tuple(rules)
        self._clock = clock
        self._known: dict[tuple[bytes, ...], Principal] = {}

    async def authenticate(self, presented: Presented) -> Principal | None:
        """None without a certificate. Raises CREDENTIAL_INVALID for one that no rule accepts, and TOKEN_EXPIRED for one
        whose time is over, as it may be on a connection that has been open for long.
        """
        if not presented.certificates:
            return None
        chain = tuple(presented.certificates)
        principal = self._known.get(chain)
        if principal is None:
            principal = self._read(chain)
            if len(self._known) >= CERTIFICATES_REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[chain] = principal
        if principal.expires_us is not None and self._clock.now_us() >= principal.expires_us:
            raise expired(self.kind)
        return principal

    def still_valid(self, principal: Principal) -> None:
        """Certificates end by their time alone."""

    def _read(self, certificates: Sequence[bytes]) -> Principal:
        """Whoever has the first of them, until it ends, or one of those that issued it. Of the chain, what has ended by
        now was not needed to verify it.
        """
        try:
            chain = [found for each in certificates for found in x509.load_pem_x509_certificates(each)]
            names = _names(chain[0])
            ends = [int(each.not_valid_after_utc.timestamp() * 1e6) for each in chain]
        except _UNREADABLE as cause:
            message = f"the client certificate cannot be read: {shortened(str(cause), SHOWN_BYTES)}"
            raise error(Reason.CREDENTIAL_INVALID, message) from cause
        fingerprint = hashlib.sha256(certificates[0]).hexdigest()[:16]
        rule, name, found = self._matching(names)
        subject = rule.subject or found.get("subject") or name
        if not is_name(subject):
            message = f"the name of the client certificate cannot be a subject, {shortened(repr(name), SHOWN_BYTES)}"
            raise error(Reason.CREDENTIAL_INVALID, message)
        return Principal(
            tenant=rule.tenant or found["tenant"],
            subject=subject,
            roles=rule.roles,
            claims=MappingProxyType({key: found[key] for key in found if key not in ("tenant", "subject")}),
            authenticator=self.kind,
            credential_id=fingerprint,
            expires_us=min([ends[0], *(each for each in ends[1:] if each > self._clock.now_us())]),
        )

    def _matching(self, names: _Names) -> tuple[CertificateRule, str, Mapping[str, str]]:
        """The first rule that accepts the certificate, the name that it goes by, and what the pattern found in it."""
        for rule in self._rules:
            pattern, choices = (
                (rule.uri, names.uris) if rule.uri is not None else (rule.common_name, names.common_names)
            )
            if pattern is None or not choices:
                continue
            if len(choices) > 1:
                what = "URIs" if pattern is rule.uri else "common names"
                message = f"the client certificate has {len(choices)} {what}, so it is not certain whose it is"
                raise error(Reason.CREDENTIAL_INVALID, message)
            found = pattern.match(choices[0])
            if found is not None:
                return rule, choices[0], found
        raise error(Reason.CREDENTIAL_INVALID, f"no rule of the service accepts the client certificate {_shown(names)}")


def _names(certificate: x509.Certificate) -> _Names:
    """Raises ValueError."""
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = alternatives.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    attributes = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return _Names(tuple(uris), tuple(str(each.value) for each in attributes))


def _shown(names: _Names) -> str:
    named = [f"URI {uri!r}" for uri in names.uris] + [f"common name {name!r}" for name in names.common_names]
    text = ", ".join(named) or "without URI and common name"
    return shortened(f"of {text}" if named else text, SHOWN_BYTES)
