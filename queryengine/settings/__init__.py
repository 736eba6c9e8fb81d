"""Settings: one YAML file, overridden by environment variables, read once at the start and frozen."""

from queryengine.settings.loading import SettingsError, load
from queryengine.settings.model import (
    EngineSettings,
    LimitSettings,
    LogSettings,
    RecordSettings,
    ResultSettings,
    ServerSettings,
    Settings,
    StateSettings,
    StreamSettings,
)
from queryengine.settings.reference import to_markdown

__all__ = [
    "EngineSettings",
    "LimitSettings",
    "LogSettings",
    "RecordSettings",
    "ResultSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "StateSettings",
    "StreamSettings",
    "load",
    "to_markdown",
]
