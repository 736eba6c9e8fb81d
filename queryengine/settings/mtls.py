"""Settings of client certificates as credentials."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from queryengine.domain.identity import Role
from queryengine.policy.identity.name_pattern import NamePattern
from queryengine.settings.group import Group
from queryengine.settings.names import CallerName

USUAL_ROLES: Final = (Role.SUBMIT, Role.READ, Role.CANCEL)


def _checked_pattern(value: str) -> str:
    return NamePattern(value).text if value else value


_Pattern = Annotated[str, AfterValidator(_checked_pattern)]


class CertificateRuleSettings(Group):
    """Whose certificates these are: those with a URI, or a common name, that matches as a whole."""

    uri: _Pattern = Field(
        default="",
        description="Pattern of the certificate's only URI, such as `spiffe://example.org/ns/{tenant}/sa/{subject}`. A "
        "placeholder takes letters, digits and `. _ - @` up to the character that follows it; those other than "
        "`{tenant}` and `{subject}` become claims.",
        json_schema_extra={"default": ""},
    )
    common_name: _Pattern = Field(
        default="", description="Pattern of the certificate's only common name, in place of `uri`."
    )
    tenant: CallerName = Field(default="", description="Tenant, for a pattern without `{tenant}`.")
    subject: CallerName = Field(
        default="",
        description="Subject, for a pattern without `{subject}`; without either it is the whole name.",
    )
    roles: Sequence[Role] = Field(
        default=USUAL_ROLES,
        description=f"What they may do: {', '.join(Role)}.",
        json_schema_extra={"default": ", ".join(USUAL_ROLES)},
    )

    @field_validator("common_name")
    @classmethod
    def _one_pattern(cls, value: str, info: ValidationInfo) -> str:
        if "uri" in info.data and bool(value) == bool(info.data["uri"]):
            raise ValueError("expected either uri or common_name in a rule")
        return value

    @field_validator("tenant", "subject")
    @classmethod
    def _said_once(cls, value: str, info: ValidationInfo) -> str:
        """The tenant must come from somewhere; nothing may come from two places."""
        pattern = info.data.get("uri") or info.data.get("common_name")
        if not pattern:
            return value
        is_found = str(info.field_name) in NamePattern(pattern).placeholders
        if value and is_found:
            raise ValueError(f"the pattern has {{{info.field_name}}} already")
        if not value and not is_found and info.field_name == "tenant":
            raise ValueError("must be set, or the pattern have {tenant}")
        return value


class MtlsSettings(Group):
    """Client certificates, which `tls.client_certificates` or `tls.mutual_listen` ask for."""

    type: Literal["mtls"] = Field(description="`mtls`.")
    rules: Sequence[CertificateRuleSettings] = Field(
        min_length=1,
        max_length=1000,
        description="Whose certificates are accepted: a list, of which the first rule that matches decides.",
    )
