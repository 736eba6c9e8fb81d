"""Certificate, key and authorities from files, checked before anything uses them.

gRPC says of most mistakes only that it cannot bind or that a connection closed, so each is found here and named.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

CURVES: Final = ("secp256r1", "secp384r1")
"""Those that gRPC makes a handshake with."""


BEGIN: Final = b"-----BEGIN CERTIFICATE-----"


class CertificatesUnusable(Exception):  # noqa: N818 - Named for what it says.
    """The files do not make a certificate that can be shown. The message names file and mistake, nothing of a key."""

    def __init__(self, key: str, message: str) -> None:
        """`key` is the setting that names the file: certificate, key or client_ca."""
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """Where the certificate, its key and the authorities of clients are."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """What the files held when they were read, in PEM."""

    chain: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None
    subject: str
    not_after: dt.datetime
    """When the certificate ends."""

    @classmethod
    def read(cls, files: CertificateFiles, now: dt.datetime) -> "Certificates":
        """Raises CertificatesUnusable."""
        with _of("certificate", files.certificate):
            chain = _read(files.certificate)
            first = _certificates(chain)[0]
        with _of("key", files.key):
            key = _read(files.key)
            _check_key(key, first)
        with _of("certificate", files.certificate):
            _check_time(first, now)
        client_ca = None
        if files.client_ca is not None:
            with _of("client_ca", files.client_ca):
                client_ca = _read(files.client_ca)
                _check_authorities(_certificates(client_ca), now)
        return cls(
            chain=chain,
            key=key,
            client_ca=client_ca,
            subject=first.subject.rfc4514_string(),
            not_after=first.not_valid_after_utc,
        )


class _Unfit(Exception):  # noqa: N818 - Named for what it says.
    """What is wrong with a file, without its name."""


@contextmanager
def _of(key: str, path: Path) -> Iterator[None]:
    try:
        yield
    except _Unfit as cause:
        raise CertificatesUnusable(key, f"{path} {cause}") from cause


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise _Unfit(f"cannot be read: {cause.strerror}") from cause


def _certificates(text: bytes) -> list[x509.Certificate]:
    """At least one."""
    try:
        found = x509.load_pem_x509_certificates(text)
    except ValueError as cause:
        raise _Unfit("does not hold a whole certificate in PEM form") from cause
    if text.count(BEGIN) != len(found):
        raise _Unfit("ends within a certificate")
    return found


def _check_key(text: bytes, certificate: x509.Certificate) -> None:
    try:
        key = load_pem_private_key(text, password=None)
    except TypeError as cause:
        raise _Unfit("holds a key that is encrypted; store it without a passphrase") from cause
    except (ValueError, UnsupportedAlgorithm):
        # Without its cause, which may quote what was read.
        raise _Unfit("does not hold a whole private key in PEM form") from None
    is_served = isinstance(key, rsa.RSAPrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES
    )
    if not is_served:
        raise _Unfit("holds a key that gRPC cannot serve; it takes RSA, and EC on P-256 or P-384")
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise _Unfit("is not the key of tls.certificate, of the first one in that file")


def _check_time(certificate: x509.Certificate, now: dt.datetime) -> None:
    if certificate.not_valid_after_utc <= now:
        raise _Unfit(f"expired on {certificate.not_valid_after_utc:%F %T} UTC")
    if certificate.not_valid_before_utc > now:
        raise _Unfit(f"is valid only from {certificate.not_valid_before_utc:%F %T} UTC on")


def _check_authorities(certificates: list[x509.Certificate], now: dt.datetime) -> None:
    """At least one can vouch for clients now: bundles keep old ones for a while."""
    authorities = [each for each in certificates if _is_authority(each)]
    if not authorities:
        raise _Unfit("holds no certificate of an authority")
    if all(each.not_valid_after_utc <= now for each in authorities):
        last = max(each.not_valid_after_utc for each in authorities)
        raise _Unfit(f"expired on {last:%F %T} UTC")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False
