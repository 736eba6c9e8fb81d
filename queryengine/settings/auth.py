"""Keys that say who may call."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from queryengine.settings.group import Group


class UnverifiedSettings(Group):
    """Callers are who they say they are, by `x-tenant-id` and `x-user-id`."""

    type: Literal["none"] = Field(description="`none`.")


AuthenticatorSettings = UnverifiedSettings


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
    def _none_is_last(cls, value: Sequence[AuthenticatorSettings]) -> Sequence[AuthenticatorSettings]:
        if any(each.type == "none" for each in value[:-1]):
            raise ValueError("expected `none` once and last: what stands behind it is never asked")
        return value
