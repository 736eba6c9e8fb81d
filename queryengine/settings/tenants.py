"""Keys that bound what one tenant, one subject and one API key may use."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints
from pydantic.config import JsonDict

from queryengine.settings.group import Group
from queryengine.settings.names import no_outer_blanks

AccountName = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(no_outer_blanks)]
"""Of a tenant, a subject or an API key; no caller has one with a blank at either end."""
_INHERITED: Final[JsonDict] = {"default": "inherited"}


class AccountSettings(Group):
    """Limits of a subject or an API key, which hold beside those of its tenant. What is left out comes from the subject
    or key `*` of the tenant, and then of the tenant `*`; else there is no limit but that of the tenant.
    """

    running: int | None = Field(
        default=None, ge=0, description="Queries that run at a time; others wait.", json_schema_extra=_INHERITED
    )
    queued: int | None = Field(
        default=None, ge=0, description="Queries that wait; more are refused.", json_schema_extra=_INHERITED
    )
    streams: int | None = Field(
        default=None, ge=0, description="Open streams; more are refused.", json_schema_extra=_INHERITED
    )
    submits_per_second: float | None = Field(
        default=None, gt=0, description="Submits on average; faster ones are refused.", json_schema_extra=_INHERITED
    )
    submit_burst: int | None = Field(
        default=None,
        ge=1,
        description="Submits at once, after a pause.",
        json_schema_extra={"default": "submits_per_second, rounded up"},
    )
    stored_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Stored results; then Submit is refused until some expire or are released.",
        json_schema_extra=_INHERITED,
    )
    engine_seconds_per_hour: float | None = Field(
        default=None,
        ge=0,
        description="Time that queries run on engines, all together, in an hour of the clock (UTC). Then others wait "
        "for the next one, or are refused when their queue timeout ends before it.",
        json_schema_extra=_INHERITED,
    )
    engine_seconds_per_day: float | None = Field(
        default=None, ge=0, description="The same, in a day of UTC.", json_schema_extra=_INHERITED
    )
    scanned_bytes_per_hour: int | None = Field(
        default=None,
        ge=0,
        description="Bytes that engines read for queries, as far as they report them, in an hour of the clock, with "
        "the same consequences.",
        json_schema_extra=_INHERITED,
    )
    scanned_bytes_per_day: int | None = Field(
        default=None, ge=0, description="The same, in a day of UTC.", json_schema_extra=_INHERITED
    )
    row_limit: int | None = Field(
        default=None, ge=1, description="Most `row_limit` of one query.", json_schema_extra=_INHERITED
    )
    byte_limit: int | None = Field(
        default=None, ge=1, description="Most `byte_limit` of one query.", json_schema_extra=_INHERITED
    )
    scan_row_limit: int | None = Field(
        default=None,
        ge=1,
        description="Rows that the engine may read for one query; it fails when the engine reports more while it runs.",
        json_schema_extra=_INHERITED,
    )
    scan_byte_limit: int | None = Field(
        default=None, ge=1, description="The same, in bytes.", json_schema_extra=_INHERITED
    )
    queue_timeout_seconds: float | None = Field(
        default=None,
        gt=0,
        description="Wait for a slot when the request sets no limit.",
        json_schema_extra=_INHERITED,
    )
    execution_timeout_seconds: float | None = Field(
        default=None,
        gt=0,
        description="Run time when the request sets no limit.",
        json_schema_extra=_INHERITED,
    )
    interactive_timeout_seconds: float | None = Field(
        default=None,
        gt=0,
        description="Longest run time of an interactive query, whatever the request sets.",
        json_schema_extra=_INHERITED,
    )
    interactive: bool | None = Field(
        default=None,
        description="Whether all queries are interactive, and not only those that say so.",
        json_schema_extra=_INHERITED,
    )

    def limits(self) -> dict[str, Any]:
        """Those that are given, by name."""
        names = AccountSettings.model_fields
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class TenantSettings(AccountSettings):
    """Limits of a tenant. What is left out comes from the tenant `*`, then from `limits` and `results`; else there is
    no limit.
    """

    weight: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Share of the slots while several tenants wait for the same engine: a tenant of weight 2 starts "
        "two queries for each one of a tenant of weight 1.",
        json_schema_extra={"default": "that of the tenant `*`, else 1"},
    )
    subjects: Mapping[AccountName, AccountSettings] = Field(
        default_factory=dict,
        description="Limits of single users and services; `*` for each that is not named.",
        json_schema_extra={"default": "none"},
    )
    api_keys: Mapping[AccountName, AccountSettings] = Field(
        default_factory=dict,
        description="Limits of API keys by their label, which rotating keeps; keys with the same label share them. `*` "
        "for each label that is not named.",
        json_schema_extra={"default": "none"},
    )

    def limits(self) -> dict[str, Any]:
        return super().limits() | ({} if self.weight is None else {"weight": self.weight})


TENANT_GROUPS: Final = (
    ("tenants.NAME", TenantSettings),
    ("tenants.NAME.subjects.SUBJECT", AccountSettings),
)
"""What stands below `tenants`, for the reference of all keys; below `api_keys` is the same as below `subjects`."""
