"""Keys that say who may call."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator

from queryengine.domain.key_text import key_id_of
from queryengine.settings.group import Group
from queryengine.settings.jwt import JwtSettings
from queryengine.settings.mtls import MtlsSettings
from queryengine.settings.secret import Secret, secret_error


class UnverifiedSettings(Group):
    """Callers are who they say they are, by `x-tenant-id` and `x-user-id`. Behind other authenticators it is for calls
    without any credential.
    """

    type: Literal["none"] = Field(description="`none`.")


class ApiKeySettings(Group):
    """API keys, which tenant admins create, rotate and revoke while the service runs."""

    type: Literal["api_key"] = Field(description="`api_key`.")
    admin_keys: Sequence[Secret] = Field(
        default=(),
        max_length=16,
        description="Keys with all roles in every tenant, to create others with: a list of `file:/path` or `env:NAME`. "
        "`queryengine keys generate` makes one.",
        json_schema_extra={"default": "none"},
    )

    @field_validator("admin_keys")
    @classmethod
    def _are_keys(cls, value: Sequence[Secret]) -> Sequence[Secret]:
        for each in value:
            if key_id_of(each.reveal()) is None:
                raise secret_error(f"{each.reference} holds no API key; `queryengine keys generate` makes one")
        return value


AuthenticatorSettings = Annotated[
    JwtSettings | ApiKeySettings | MtlsSettings | UnverifiedSettings, Field(discriminator="type")
]


class AuthSettings(Group):
    """Who may call."""

    authenticators: Sequence[AuthenticatorSettings] = Field(
        default=(),
        max_length=16,
        description="What verifies credentials: a list, of which the first that recognises the credential of a call "
        "decides.",
        json_schema_extra={"default": "`none` alone"},
    )

    @field_validator("authenticators")
    @classmethod
    def _are_asked(cls, value: Sequence[AuthenticatorSettings]) -> Sequence[AuthenticatorSettings]:
        if any(each.type == "none" for each in value[:-1]):
            raise ValueError("expected `none` once and last: what stands behind it is never asked")
        for kind in ("api_key", "mtls"):
            if [each.type for each in value].count(kind) > 1:
                raise ValueError(f"expected `{kind}` once: a second one is never asked")
        issuers = [each.issuer for each in value if isinstance(each, JwtSettings)]
        if len(set(issuers)) < len(issuers):
            raise ValueError("expected one `jwt` for each issuer: a second one is never asked")
        return value
