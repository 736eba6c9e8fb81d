"""Keys of the audit log."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, field_validator

from queryengine.settings.group import KIB, MIB, Group

OFF: Final = "off"
STDERR: Final = "stderr"


class AuditSettings(Group):
    """Who asked for what, and what was decided: one JSON object per line; see docs/security.md."""

    to: str = Field(
        default=OFF,
        description="`off`, `stderr`, or the absolute path of a file, which is appended to and belongs to one server.",
    )
    statement: Literal["fingerprint", "text"] = Field(
        default="fingerprint",
        description="What records have of a statement: `fingerprint`, a hash that equal statements share, or `text`, "
        "the SQL, too. Parameters are never recorded.",
    )
    on_failure: Literal["refuse", "count"] = Field(
        default="refuse",
        description="What happens while records cannot be written: `refuse` calls with AUDIT_UNAVAILABLE, or let them "
        "go on and `count` the records that are lost in `queryengine_audit_records_total`.",
    )
    fsync: bool = Field(
        default=False,
        description="Whether each group of records is forced to disk before its calls go on, so that they outlive a "
        "power failure; without, they outlive an end of the server.",
    )
    rotate_bytes: int = Field(
        default=100 * MIB,
        ge=0,
        description="Size at which the file is put aside, under its name and the time; 0: never.",
    )
    rotate_seconds: float = Field(
        default=0,
        ge=0,
        description="Time after which it is, at multiples since 1970 in UTC, such as 86400 for midnight; 0: never.",
    )
    keep_files: int = Field(
        default=0, ge=0, description="Files put aside that are kept; the oldest are removed. 0 keeps all."
    )
    buffer_bytes: int = Field(
        default=8 * MIB, ge=64 * KIB, description="Memory for records that wait to be written; more are not taken."
    )
    wait_seconds: float = Field(default=5, gt=0, description="Longest wait of a call for its record.")

    @field_validator("to", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: object) -> object:
        # YAML reads it as false.
        return OFF if value is False else value

    @field_validator("to")
    @classmethod
    def _known_place(cls, value: str) -> str:
        if value not in (OFF, STDERR) and not Path(value).is_absolute():
            raise ValueError("expected off, stderr or an absolute path")
        return value

    @property
    def is_on(self) -> bool:
        return self.to != OFF

    @property
    def path(self) -> Path | None:
        """The file; None without one."""
        return None if self.to in (OFF, STDERR) else Path(self.to)
