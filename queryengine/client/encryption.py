"""Encryption of a client's channel, from files: whom it trusts, and the certificate that it shows."""

import ssl
from pathlib import Path
from typing import Final

import grpc

_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"

PathLike = str | Path


def channel_credentials(
    *, tls: bool | None, ca_file: PathLike | None, cert_file: PathLike | None, key_file: PathLike | None
) -> grpc.ChannelCredentials | None:
    """None for plain text. A file means TLS. Raises ValueError that names the argument and the mistake."""
    if (cert_file is None) != (key_file is None):
        raise ValueError("cert_file and key_file belong together: a certificate of the client and its private key")
    has_files = ca_file is not None or cert_file is not None
    if tls is False and has_files:
        raise ValueError("ca_file and cert_file have no effect with tls=False")
    if not tls and not has_files:
        return None
    authorities = None if ca_file is None else _certificates("ca_file", Path(ca_file))
    if cert_file is None or key_file is None:
        return grpc.ssl_channel_credentials(authorities)
    certificate, key = Path(cert_file).expanduser(), Path(key_file).expanduser()
    chain = _certificates("cert_file", certificate)
    secret = _read("key_file", key)
    _check_pair(certificate, key)
    return grpc.ssl_channel_credentials(authorities, private_key=secret, certificate_chain=chain)


def _certificates(name: str, path: Path) -> bytes:
    text = _read(name, path.expanduser())
    if _CERTIFICATE not in text:
        raise ValueError(f"{name}: {path} holds no certificate in PEM form")
    return text


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise ValueError(f"{name}: cannot read {path}: {cause.strerror}") from cause


def _check_pair(certificate: Path, key: Path) -> None:
    """GRPC itself says of a key of another certificate only that no server answers."""

    def no_passphrase() -> str:
        raise ValueError(f"key_file: the key in {key} is encrypted; store it without a passphrase")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, no_passphrase)
    except (ssl.SSLError, OSError) as cause:
        raise ValueError(f"key_file: {key} is not the private key of the certificate in {certificate}") from cause
