"""The audit log: who asked for what, and what was decided. Append-only lines of JSON, written off the event loop."""

from queryengine.telemetry.audit.files import AuditFile, Rotation, Sink, StandardError
from queryengine.telemetry.audit.log import AuditLog, AuditRules

__all__ = ["AuditFile", "AuditLog", "AuditRules", "Rotation", "Sink", "StandardError"]
