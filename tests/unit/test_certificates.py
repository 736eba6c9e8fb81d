"""Certificates of a server: what is accepted, and that every mistake in the files has a name."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from queryengine.edges.grpc.certificates import CertificateFiles, Certificates, CertificatesUnusable
from tests.tls_files import Files, chain_of, issued, key_of, now, past

AUTHORITY = trustme.CA()
NOW = now()
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])


def certificate_of(key: object, *, days: int = 1, since: int = 1) -> bytes:
    """One that signs itself."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())  # type: ignore[attr-defined]
        .serial_number(7)
        .not_valid_before(NOW - dt.timedelta(days=since))
        .not_valid_after(NOW + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    has_own_hash = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(key, None if has_own_hash else hashes.SHA256()).public_bytes(Encoding.PEM)  # type: ignore[arg-type]


def private(key: object, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    text: bytes = key.private_bytes(Encoding.PEM, form, encryption)  # type: ignore[attr-defined]
    return text


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "tls", AUTHORITY)


def read(files: Files, *, client_ca: bool = True) -> Certificates:
    found = CertificateFiles(
        certificate=files.certificate, key=files.key, client_ca=files.client_ca if client_ca else None
    )
    return Certificates.read(found, NOW)


def test_what_the_files_hold_is_served_as_it_is(files: Files) -> None:
    found = read(files)
    assert (found.chain, found.key, found.client_ca) == (
        files.certificate.read_bytes(),
        files.key.read_bytes(),
        files.client_ca.read_bytes(),
    )
    assert read(files, client_ca=False).client_ca is None
    assert found.not_after > NOW
    # The key is shown by nothing.
    assert found.key.decode() not in repr(found)
    assert "PRIVATE" not in repr(found)


KEYS = {
    "RSA, PKCS 8": (rsa.generate_private_key(65537, 2048), PrivateFormat.PKCS8),
    "RSA, PKCS 1": (rsa.generate_private_key(65537, 2048), PrivateFormat.TraditionalOpenSSL),
    "P-256, PKCS 8": (ec.generate_private_key(ec.SECP256R1()), PrivateFormat.PKCS8),
    "P-256, SEC 1": (ec.generate_private_key(ec.SECP256R1()), PrivateFormat.TraditionalOpenSSL),
    "P-384": (ec.generate_private_key(ec.SECP384R1()), PrivateFormat.PKCS8),
}


@pytest.mark.parametrize(("key", "form"), KEYS.values(), ids=KEYS)
def test_keys_of_every_form_are_read(files: Files, key: object, form: PrivateFormat) -> None:
    files.certificate.write_bytes(certificate_of(key))
    files.key.write_bytes(private(key, form))
    assert read(files).key == files.key.read_bytes()


def _key(make: Callable[[], object]) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        key = make()
        files.certificate.write_bytes(certificate_of(key))
        files.key.write_bytes(private(key))

    return change


def _encrypted(files: Files) -> None:
    key = rsa.generate_private_key(65537, 2048)
    files.certificate.write_bytes(certificate_of(key))
    files.key.write_bytes(private(key, password=b"canary"))


def _old_authority(files: Files) -> None:
    files.client_ca.write_bytes(certificate_of(ec.generate_private_key(ec.SECP256R1()), since=9, days=-1))


def _half(name: str, share: float = 0.5) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        path: Path = getattr(files, name)
        text = path.read_bytes()
        path.write_bytes(text[: int(len(text) * share)])

    return change


def _second_half(files: Files) -> None:
    whole = files.certificate.read_bytes()
    files.certificate.write_bytes(whole + whole[: len(whole) // 2])


def _text(name: str, text: bytes) -> Callable[[Files], None]:
    return lambda files: getattr(files, name).write_bytes(text) and None


NOT_SERVED = "holds a key that gRPC cannot serve; it takes RSA, and EC on P-256 or P-384"
NO_CERTIFICATE = "does not hold a whole certificate in PEM form"
NO_KEY = "does not hold a whole private key in PEM form"
MISTAKES: dict[str, tuple[Callable[[Files], object], str, str]] = {
    "no certificate": (lambda files: files.certificate.unlink(), "certificate", "cannot be read: No such file"),
    "no key": (lambda files: files.key.unlink(), "key", "cannot be read: No such file"),
    "no authority": (lambda files: files.client_ca.unlink(), "client_ca", "cannot be read: No such file"),
    "a folder": (lambda files: (files.key.unlink(), files.key.mkdir()), "key", "cannot be read: Is a directory"),
    "half a certificate": (_half("certificate"), "certificate", NO_CERTIFICATE),
    "half a second certificate": (_second_half, "certificate", "certificate"),
    "half a key": (_half("key"), "key", NO_KEY),
    "half an authority": (_half("client_ca"), "client_ca", NO_CERTIFICATE),
    "an empty certificate": (_half("certificate", 0), "certificate", NO_CERTIFICATE),
    "an empty key": (_half("key", 0), "key", NO_KEY),
    "other text": (_text("key", b"hello"), "key", NO_KEY),
    "bytes": (_text("certificate", b"\x00\xff" * 99), "certificate", NO_CERTIFICATE),
    "files swapped": (lambda files: files.key.write_bytes(files.certificate.read_bytes()), "key", NO_KEY),
    "the key of another": (lambda files: files.key.write_bytes(key_of(issued(AUTHORITY))), "key", "is not the key of"),
    "the certificate of another": (
        lambda files: files.certificate.write_bytes(chain_of(issued(AUTHORITY))),
        "key",
        "is not the key of",
    ),
    "the authority first": (
        lambda files: files.certificate.write_bytes(AUTHORITY.cert_pem.bytes() + files.certificate.read_bytes()),
        "key",
        "is not the key of",
    ),
    "a passphrase": (_encrypted, "key", "encrypted; store it without a passphrase"),
    "Ed25519": (_key(ed25519.Ed25519PrivateKey.generate), "key", NOT_SERVED),
    "Ed448": (_key(ed448.Ed448PrivateKey.generate), "key", NOT_SERVED),
    "P-521": (_key(lambda: ec.generate_private_key(ec.SECP521R1())), "key", NOT_SERVED),
    "P-224": (_key(lambda: ec.generate_private_key(ec.SECP224R1())), "key", NOT_SERVED),
    "DSA": (_key(lambda: dsa.generate_private_key(2048)), "key", NOT_SERVED),
    "expired": (lambda files: files.write(issued(AUTHORITY, **past())), "certificate", "expired on "),
    "not yet": (
        lambda files: files.write(issued(AUTHORITY, not_before=NOW + dt.timedelta(days=1))),
        "certificate",
        "is valid only from ",
    ),
    "an expired authority": (_old_authority, "client_ca", "expired on "),
    "a leaf as authority": (
        lambda files: files.client_ca.write_bytes(issued(AUTHORITY).cert_chain_pems[0].bytes()),
        "client_ca",
        "holds no certificate of an authority",
    ),
}


@pytest.mark.parametrize(("change", "key", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_file(
    files: Files, change: Callable[[Files], object], key: str, words: str
) -> None:
    change(files)
    with pytest.raises(CertificatesUnusable) as raised:
        read(files)
    assert raised.value.key == key
    assert str(raised.value).startswith(str(getattr(files, key)))
    assert words in str(raised.value)
    assert "PRIVATE KEY" not in str(raised.value)


def test_one_authority_that_holds_is_enough(files: Files) -> None:
    old = certificate_of(ec.generate_private_key(ec.SECP256R1()), since=9, days=-1)
    files.client_ca.write_bytes(old + AUTHORITY.cert_pem.bytes())
    assert read(files).client_ca == files.client_ca.read_bytes()
