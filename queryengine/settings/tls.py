"""Settings of TLS: which certificate the service shows, and whether clients must show one."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from queryengine.settings.addresses import checked_address
from queryengine.settings.group import Group
from queryengine.settings.paths import absolute


class TlsSettings(Group):
    """Encryption of the service, and certificates of its clients. Off without a certificate."""

    certificate: Path | None = Field(
        default=None,
        description="File with the server's certificate, followed by those between it and the authority, PEM. Turns "
        "TLS on for `server.listen`. This file, `key` and `client_ca` are watched as the settings file is.",
        json_schema_extra={"default": "none"},
    )
    key: Path | None = Field(
        default=None,
        description="File with the private key of the certificate, PEM, not encrypted: RSA, or EC on P-256 or P-384.",
        json_schema_extra={"default": "none"},
    )
    client_ca: Path | None = Field(
        default=None,
        description="File with the certificates of the authorities that sign those of clients, PEM.",
        json_schema_extra={"default": "none"},
    )
    client_certificates: Literal["none", "required"] = Field(
        default="none",
        description="Whether clients of `server.listen` must show a certificate that `client_ca` has signed (mutual "
        "TLS). For clients of both kinds see `mutual_listen`.",
    )
    mutual_listen: str = Field(
        default="",
        description="A second address of the service, at which a certificate is required while `server.listen` asks "
        "for none: host:port; empty for none. gRPC for Python cannot ask for a certificate and go on without one.",
    )
    health: bool = Field(
        default=False,
        description="Whether `server.admin_listen` has TLS, too; it never asks for certificates. The probes of "
        "Kubernetes do not speak TLS.",
    )

    @property
    def asks_clients(self) -> bool:
        """Whether a port takes certificates of clients."""
        return self.client_certificates == "required" or bool(self.mutual_listen)

    @property
    def is_on(self) -> bool:
        return self.certificate is not None

    @field_validator("certificate", "key", "client_ca")
    @classmethod
    def _from_home(cls, value: Path | None) -> Path | None:
        return None if value is None else absolute(value)

    @field_validator("key")
    @classmethod
    def _pair(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        has_certificate = info.data.get("certificate") is not None
        if has_certificate and value is None:
            raise ValueError("must be set, as tls.certificate is")
        return value

    @field_validator("key", "client_ca", "client_certificates", "mutual_listen", "health")
    @classmethod
    def _needs_certificate(cls, value: object, info: ValidationInfo) -> object:
        if value not in (None, "", False, "none") and info.data.get("certificate") is None:
            raise ValueError("has no effect without tls.certificate")
        return value

    @field_validator("client_certificates", mode="before")
    @classmethod
    def _not_optional(cls, value: object) -> object:
        if value == "optional":
            raise ValueError(
                "expected none or required, as gRPC for Python cannot ask for a certificate and go on without one; "
                "for clients of both kinds set tls.mutual_listen to a second address, at which it is required"
            )
        return value

    @field_validator("client_certificates")
    @classmethod
    def _by_an_authority(cls, value: str, info: ValidationInfo) -> str:
        if value == "required" and info.data.get("client_ca") is None:
            raise ValueError("needs tls.client_ca, the authorities that sign certificates of clients")
        return value

    @field_validator("mutual_listen")
    @classmethod
    def _one_place_for_certificates(cls, value: str, info: ValidationInfo) -> str:
        is_required = info.data.get("client_certificates") == "required"
        has_authority = info.data.get("client_ca") is not None
        if value and is_required:
            raise ValueError("has no effect, as tls.client_certificates requires them at server.listen already")
        if value and not has_authority:
            raise ValueError("needs tls.client_ca, the authorities that sign certificates of clients")
        if not value and has_authority and info.data.get("client_certificates") == "none":
            raise ValueError(
                "must be set, or tls.client_certificates be required: tls.client_ca has no effect without either"
            )
        return checked_address(value) if value else value
