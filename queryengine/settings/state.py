"""Where everything durable lives: a folder, and the database of the record of queries."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator

from queryengine.settings.group import Group
from queryengine.settings.paths import absolute
from queryengine.settings.secret import resolved, secret_error

_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql", "postgres")


def _state_directory() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "queryengine"


class StateSettings(Group):
    """Where everything durable lives."""

    directory: Path = Field(
        default_factory=_state_directory,
        description="Folder of the record of queries and of stored results; used by one server at a time.",
        json_schema_extra={"default": "~/.local/state/queryengine"},
    )
    database: str = Field(
        default="",
        description="Database of the record of queries: `sqlite:///` and the path of a file, or a URL of PostgreSQL as "
        "libpq takes it, such as `postgresql://user@host/name`; used by one server at a time. With a password it is "
        "best given as `file:/path` or `env:NAME`, which stand for what is there; `PGPASSWORD` and `PGPASSFILE` work, "
        "too. By default the file `queries.db` in the folder.",
        repr=False,
        exclude=True,
        json_schema_extra={"default": ""},
    )

    @field_validator("directory", mode="before")
    @classmethod
    def _not_empty(cls, value: object) -> object:
        # As a variable that was to be set leaves it. As a path it would be the folder that the server is started in.
        if isinstance(value, str) and not value.strip():
            raise ValueError("expected a folder")
        return value

    @field_validator("directory")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        # Absolute, as a worker may leave the directory that the server was started in.
        return absolute(value)

    @field_validator("database")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            return checked_place(resolved(value))
        except ValueError as cause:
            raise secret_error(str(cause)) from cause

    @property
    def record(self) -> Path | str:
        """The file of SQLite, or the URL of PostgreSQL, that has the record of queries."""
        return record_place(self.database, self.directory)

    @property
    def spool(self) -> Path:
        return self.directory / "spool"

    @property
    def cuts(self) -> Path:
        return self.directory / "cuts"


def checked_place(value: str) -> str:
    """The same text. Raises ValueError, whose message does not repeat it, as it may hold a password."""
    if not value or (value.startswith(_SQLITE) and value != _SQLITE):
        if "?" in value:
            raise ValueError("expected no options behind the path of a SQLite file")
        return value
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as cause:
        raise ValueError("expected a URL; write signs such as @ and / in a password as %40 and %2F") from cause
    if parts.scheme not in _POSTGRESQL or "://" not in value:
        raise ValueError("expected sqlite:///path or postgresql://user@host/name")
    return value


def record_place(database: str, directory: Path) -> Path | str:
    """A path, absolute, or a URL."""
    if not database:
        return directory / "queries.db"
    if database.startswith(_SQLITE):
        return Path(unquote(database.removeprefix(_SQLITE))).expanduser().absolute()
    return database
