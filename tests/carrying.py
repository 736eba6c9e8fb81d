"""The rows of an execution as a worker carries them."""

import pyarrow as pa

from queryengine.codec.wide_numbers import carried
from queryengine.domain.submission import WideIntegers
from queryengine.engines.base import Execution


def table_of(execution: Execution, how: WideIntegers = WideIntegers.FAIL) -> pa.Table:
    """Every row; the execution must not have been started."""
    schema, batches = carried(execution.start(), execution.batches(), how)
    return pa.Table.from_batches(batches, schema)
