"""Settings: one YAML file, overridden by environment variables, read once at the start and frozen."""

from queryengine.settings.audit import AuditSettings
from queryengine.settings.checking import missing_audit_folder, missing_places, warnings
from queryengine.settings.errors import SettingsError
from queryengine.settings.exposure import exposed
from queryengine.settings.limits import LimitSettings, SandboxSettings
from queryengine.settings.loading import load
from queryengine.settings.model import (
    EngineSettings,
    LogSettings,
    RecordSettings,
    ResultSettings,
    Settings,
    StreamSettings,
)
from queryengine.settings.reference import to_markdown
from queryengine.settings.reload import Reload, reloaded
from queryengine.settings.secret import Secret
from queryengine.settings.server import ServerSettings
from queryengine.settings.source import Source
from queryengine.settings.state import StateSettings
from queryengine.settings.tls import TlsSettings

__all__ = [
    "AuditSettings",
    "EngineSettings",
    "LimitSettings",
    "LogSettings",
    "RecordSettings",
    "Reload",
    "ResultSettings",
    "SandboxSettings",
    "Secret",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "Source",
    "StateSettings",
    "StreamSettings",
    "TlsSettings",
    "exposed",
    "load",
    "missing_audit_folder",
    "missing_places",
    "reloaded",
    "to_markdown",
    "warnings",
]
