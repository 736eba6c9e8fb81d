"""Defects of ours: logged with a number and a traceback, and reported to clients by that number alone."""

import logging
import secrets

from queryengine.domain.errors import Failure, Reason

logger = logging.getLogger(__name__)


def incident(doing: str, cause: BaseException) -> Failure:
    """The failure that a client gets for an exception which nothing here expects. Logs it."""
    number = secrets.token_hex(6)
    logger.error("incident %s in %s", number, doing, exc_info=cause)
    return Failure(
        Reason.INTERNAL_ERROR, f"the service failed; its log names this as incident {number}", {"incident": number}
    )
