"""What every worker of an engine finds, such as a data file that cannot be read: its first worker alone logs it."""

import logging

logger = logging.getLogger(__name__)


def keep_silent() -> None:
    """Log nothing of it in this process, which is not the first worker of its engine."""
    logger.disabled = True
