"""Certificates of tests, as files that a server reads, and how they are replaced."""

import datetime as dt
from pathlib import Path
from typing import Any

import grpc
import trustme

from queryengine.domain.clock import SystemClock

HOST = "localhost"


def issued(authority: trustme.CA, *names: str, **options: Any) -> trustme.LeafCert:
    return authority.issue_cert(*(names or (HOST,)), **options)


def now() -> dt.datetime:
    return dt.datetime.fromtimestamp(SystemClock().now_us() / 1e6, dt.UTC)


def past() -> dict[str, dt.datetime]:
    """Options of a certificate that was good until yesterday."""
    return {"not_before": now() - dt.timedelta(days=9), "not_after": now() - dt.timedelta(days=1)}


def chain_of(certificate: trustme.LeafCert) -> bytes:
    return b"".join(each.bytes() for each in certificate.cert_chain_pems)


def key_of(certificate: trustme.LeafCert) -> bytes:
    return bytes(certificate.private_key_pem.bytes())


def serial_of(pem: bytes) -> int:
    from cryptography import x509

    return x509.load_pem_x509_certificate(pem).serial_number


class Files:
    """Files of a server: replaced in one step as a careful program does, or written in place as others do."""

    def __init__(self, folder: Path, authority: trustme.CA) -> None:
        folder.mkdir(exist_ok=True)
        self.certificate, self.key, self.client_ca = (folder / name for name in ("tls.crt", "tls.key", "ca.crt"))
        self.authority = authority
        self.client_ca.write_bytes(authority.cert_pem.bytes())
        self.write(issued(authority))

    def write(self, certificate: trustme.LeafCert) -> None:
        self.certificate.write_bytes(chain_of(certificate))
        self.key.write_bytes(key_of(certificate))

    def rename(self, certificate: trustme.LeafCert) -> None:
        for path, text in ((self.certificate, chain_of(certificate)), (self.key, key_of(certificate))):
            beside = path.with_suffix(".new")
            beside.write_bytes(text)
            beside.replace(path)

    def settings(self, *, mutual: str = "", required: bool = False, **options: Any) -> dict[str, Any]:
        """The group `tls`."""
        authorities = {"client_ca": str(self.client_ca)} if mutual or required else {}
        return {
            "certificate": str(self.certificate),
            "key": str(self.key),
            **authorities,
            **({"client_certificates": "required"} if required else {}),
            **({"mutual_listen": mutual} if mutual else {}),
            **options,
        }


class MountedFiles(Files):
    """As Kubernetes mounts a Secret: links to ..data/NAME, where ..data is a link to a folder that is swapped."""

    def __init__(self, folder: Path, authority: trustme.CA) -> None:
        folder.mkdir()
        self._folder = folder
        self._version = 0
        self.authority = authority
        self.certificate, self.key, self.client_ca = (folder / name for name in ("tls.crt", "tls.key", "ca.crt"))
        self.swap(issued(authority))
        for path in (self.certificate, self.key, self.client_ca):
            path.symlink_to(Path("..data") / path.name)

    def swap(self, certificate: trustme.LeafCert) -> None:
        self._version += 1
        version = self._folder / f"..version-{self._version}"
        version.mkdir()
        (version / "tls.crt").write_bytes(chain_of(certificate))
        (version / "tls.key").write_bytes(key_of(certificate))
        (version / "ca.crt").write_bytes(self.authority.cert_pem.bytes())
        beside = self._folder / "..data_tmp"
        beside.symlink_to(version.name)
        beside.replace(self._folder / "..data")


def trusting(authority: trustme.CA, client: trustme.LeafCert | None = None) -> grpc.ChannelCredentials:
    """Of a client that trusts the authority, and shows a certificate if it has one."""
    pair = (key_of(client), chain_of(client)) if client is not None else (None, None)
    return grpc.ssl_channel_credentials(authority.cert_pem.bytes(), *pair)


def by_name(address: str) -> str:
    """The address by the name that its certificate is for."""
    return f"{HOST}:{address.rpartition(':')[2]}"
