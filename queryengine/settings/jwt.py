"""Keys of the authenticator `jwt`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from queryengine.domain.identity import UNVERIFIED_ROLES, Role
from queryengine.settings.fetched import checked_url, readable_authorities
from queryengine.settings.group import Group
from queryengine.settings.secret import Secret

if TYPE_CHECKING:
    from queryengine.policy.identity.verifying_keys import VerifyingKey

Algorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2048)]


def _default_roles() -> Sequence[Role]:
    return sorted(UNVERIFIED_ROLES - {Role.TENANT_ADMIN})


def _own_names() -> Mapping[str, Role]:
    return {role.value: role for role in Role}


class KeySettings(Group):
    """One key that verifies tokens: either a secret or a public key."""

    kid: str = Field(
        default="",
        max_length=256,
        description="Its name, as the header of tokens has it; a key without one is tried for every token.",
        json_schema_extra={"default": ""},
    )
    secret: Secret | None = Field(
        default=None,
        description="Secret of an HS algorithm, as `file:/path` or `env:NAME`: text, which is not decoded, of as many "
        "bytes as the hash has at least.",
        json_schema_extra={"default": ""},
    )
    public_key: Secret | None = Field(
        default=None,
        description="Public key or certificate for any other algorithm, as PEM: `file:/path` or `env:NAME`.",
        json_schema_extra={"default": ""},
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.secret is None) == (self.public_key is None):
            raise ValueError("expected either secret or public_key")
        return self


class JwtSettings(Group):
    """JSON Web Tokens of one issuer, sent as `authorization: Bearer`."""

    type: Literal["jwt"] = Field(description="`jwt`.")
    issuer: Text = Field(description="What the claim `iss` must be, letter by letter.")
    audience: Sequence[Text] = Field(
        min_length=1,
        max_length=100,
        description="Names of this service, a list: the claim `aud` must have one of them.",
    )
    algorithms: Sequence[Algorithm] = Field(
        min_length=1,
        description="Algorithms that tokens may be signed by, a list: either of HS256, HS384, HS512, or of RS256, "
        "RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA.",
    )
    keys: Sequence[KeySettings] = Field(
        default=(),
        max_length=100,
        description="Keys that tokens are verified by, a list of `kid` with `secret` or `public_key`.",
        json_schema_extra={"default": "those of `jwks_url`"},
    )
    jwks_url: Annotated[str, AfterValidator(checked_url("could make keys of its own"))] = Field(
        default="",
        description="Where the issuer publishes its keys as a JWK Set, instead of `keys`: https, or http on loopback. "
        "Redirects are not followed and proxies not used.",
        json_schema_extra={"default": ""},
    )
    jwks_ca: Path | None = Field(
        default=None,
        description="PEM file of the authorities that the server of `jwks_url` is verified by.",
        json_schema_extra={"default": "those of the system"},
    )
    jwks_refresh_seconds: float = Field(default=300, ge=30, description="Between two fetches of the keys.")
    jwks_stale_seconds: float = Field(
        default=24 * 60 * 60,
        ge=60,
        description="For which keys go on when they cannot be fetched; after that, tokens are refused.",
    )
    tenant_claim: Text = Field(
        default="tenant",
        description="Claim that has the tenant, or a list of tenants of which `x-tenant-id` names one. Dots lead into "
        "objects, here and in the other names.",
    )
    subject_claim: Text = Field(default="sub", description="Claim that has the user; `sub` is required in any case.")
    roles_claim: Text = Field(default="roles", description="Claim that has the roles: a list, or text with spaces.")
    roles: Mapping[str, Role] = Field(
        default_factory=_own_names,
        description="Values of that claim, with the role that each gives: " + ", ".join(Role) + ". Others give none.",
        json_schema_extra={"default": "the roles' own names"},
    )
    default_roles: Sequence[Role] = Field(
        default_factory=_default_roles,
        description="Roles of a token without that claim.",
        json_schema_extra={"default": "`[cancel, read, submit]`"},
    )
    leeway_seconds: float = Field(
        default=30, ge=0, le=300, description="By which the clocks of issuer and service may differ."
    )
    require_uuids: bool = Field(default=False, description="Whether tenants and users must be UUIDs.")

    @field_validator("jwks_ca")
    @classmethod
    def _is_readable(cls, value: Path | None) -> Path | None:
        return readable_authorities(value)

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        secret = {each for each in self.algorithms if each.startswith("HS")}
        if secret and len(secret) < len(set(self.algorithms)):
            raise ValueError("algorithms: expected HS algorithms or others, not both for one issuer")
        if bool(self.keys) == bool(self.jwks_url):
            raise ValueError("expected either keys or jwks_url")
        if secret and self.jwks_url:
            raise ValueError("algorithms: HS algorithms have a secret, which no URL may publish; set keys")
        self.verifying_keys()
        return self

    def verifying_keys(self) -> "Sequence[VerifyingKey]":
        """The `keys`, made of what their files and variables held when the settings were read. Raises ValueError."""
        return [self._verifying_key(number, each) for number, each in enumerate(self.keys)]

    def _verifying_key(self, number: int, key: KeySettings) -> "VerifyingKey":
        # Only here: what reads keys is large, and most servers have none.
        from queryengine.policy.identity.verifying_keys import public_key, secret_key

        reference = key.secret or key.public_key
        assert reference is not None
        text = reference.reveal().encode()
        try:
            made = secret_key(text, self.algorithms, kid=key.kid) if key.secret else public_key(text, kid=key.kid)
        except ValueError as cause:
            raise ValueError(f"keys.{number}: {reference} {cause}") from None
        if not made.algorithms.intersection(self.algorithms):
            kind = "a secret" if key.secret else "a public key for other algorithms"
            raise ValueError(f"keys.{number}: {reference} is {kind}; algorithms has {', '.join(self.algorithms)}")
        return made
