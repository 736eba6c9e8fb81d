"""What went wrong in a worker, as the failure that its server hears of."""

import logging

import pyarrow as pa

from queryengine.domain.errors import Failure, QueryEngineError, Reason

logger = logging.getLogger(__name__)


def failure_of(cause: Exception, doing: str) -> Failure:
    """Any exception as a failure; one that no adapter named is logged with its traceback, and what was being done."""
    match cause:
        case QueryEngineError():
            return cause.failure
        case MemoryError() | pa.ArrowMemoryError():
            return Failure(Reason.OUT_OF_MEMORY, "the worker ran out of the memory it may use")
        case _:
            logger.error("%s failed by an error that no adapter names", doing, exc_info=cause)
            return Failure(Reason.ENGINE_ERROR, f"{type(cause).__name__}: {cause}")
