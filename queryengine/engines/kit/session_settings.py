"""What a statement may set on its engine."""

from collections.abc import Collection

from queryengine.domain.errors import Reason, error
from queryengine.engines.base import Statement


def check_settings(statement: Statement, allowed: Collection[str]) -> None:
    """Raises UNSUPPORTED, with the name as metadata, for a setting that is not among the allowed ones."""
    for name in statement.session_settings:
        if name not in allowed:
            message = f"setting {name!r} cannot be set here; possible: {', '.join(allowed) or 'none'}"
            raise error(Reason.UNSUPPORTED, message, feature=f"session_settings.{name}")
