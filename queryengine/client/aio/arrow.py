"""What other libraries see of a result for asyncio: they cannot await its rows, so only its columns."""

import pyarrow as pa

from queryengine.client.result import ResultBase


class AsyncArrowStream(ResultBase):
    """The columns, awaited."""

    async def schema(self) -> pa.Schema:
        """Waits until the columns are known."""
        return await self._columns()

    async def _columns(self) -> pa.Schema:
        raise NotImplementedError
