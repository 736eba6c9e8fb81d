"""What is known of the configuration in force, and of the last attempt to load another."""

from dataclasses import dataclass
from enum import StrEnum


class Trigger(StrEnum):
    """What had the configuration loaded."""

    START = "start"
    SIGNAL = "signal"
    FILE = "file"
    """A file of it changed."""
    CALL = "call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt to load the configuration."""

    trigger: Trigger
    end_us: int
    """In microseconds since 1970."""
    changed: tuple[str, ...] = ()
    """Keys that have another value from then on, and files that were read again."""
    mistakes: tuple[str, ...] = ()
    """Why it was refused, each with its place and key; empty when it was applied. Never with a secret."""

    @property
    def is_applied(self) -> bool:
        return not self.mistakes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadStatus:
    """The configuration of a server."""

    version: str
    """Hash of the settings in force. Equal for servers with equal settings; secrets and options of engines are not part
    of it.
    """
    since_us: int
    """When they were last loaded without a mistake, in microseconds since 1970."""
    needs_restart: tuple[str, ...]
    """Keys that had another value then, which only a restart applies."""
    last: Attempt
    warnings: tuple[str, ...] = ()
    """What of it does not fit the engines as they are now, each with its place and key."""
