"""Keys of a decision point outside of the service."""

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, field_validator

from queryengine.settings.fetched import checked_url, readable_authorities
from queryengine.settings.group import Group
from queryengine.settings.secret import Secret

_PATH: Final = re.compile(r"/v1/data(/[A-Za-z0-9_.%-]+)+")


class DecisionPointSettings(Group):
    """A server that is asked for each query, by the API of OPA; without it none is."""

    url: Annotated[str, AfterValidator(checked_url("could decide"))] = Field(
        min_length=1,
        description="Its address: https, or http on loopback. Redirects are not followed and proxies not used.",
    )
    path: str = Field(
        default="/v1/data/queryengine/decision",
        description="Of the rule that decides, as `/v1/data/package/rule`.",
    )
    timeout_seconds: float = Field(
        default=2, gt=0, le=30, description="For one answer; a query without one is refused."
    )
    cache_seconds: float = Field(
        default=5,
        ge=0,
        le=3600,
        description="For which an answer holds, for the same principal, engine, kinds and tables; 0: none is kept.",
    )
    token: Secret | None = Field(
        default=None,
        description="Sent as `authorization: Bearer`: `file:/path` or `env:NAME`.",
        json_schema_extra={"default": "none"},
    )
    ca: Path | None = Field(
        default=None,
        description="PEM file of the authorities that its server is verified by.",
        json_schema_extra={"default": "those of the system"},
    )

    @field_validator("path")
    @classmethod
    def _is_of_a_rule(cls, value: str) -> str:
        if _PATH.fullmatch(value) is None:
            raise ValueError(
                "expected a path such as /v1/data/package/rule, of letters, digits and _ . % - between slashes"
            )
        return value

    @field_validator("ca")
    @classmethod
    def _is_readable(cls, value: Path | None) -> Path | None:
        return readable_authorities(value)
