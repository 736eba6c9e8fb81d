"""Removes results that nothing refers to, off the event loop, and has the meter count what that frees.

Whoever removes has marked the record before: a crash between the two leaves bytes without a readable record, which a
sweep finds.
"""

import asyncio
from concurrent.futures import Executor

from queryengine.results.meter import SpoolMeter
from queryengine.results.stored import SpooledResult, StoredResults


class Removal:
    """The one way by which a result leaves the spool. Every method is idempotent."""

    def __init__(self, results: StoredResults, meter: SpoolMeter, disk: Executor) -> None:
        self._results = results
        self._meter = meter
        self._disk = disk

    async def remove(self, tenant: str, result_id: str, *, recorded_bytes: int = 0) -> None:
        """Remove the pages of a result that nothing refers to any more. Open readers keep what they have open.
        `recorded_bytes`: what of it was in the record, and went with the last reference; nothing is in the spool then.
        """
        freed = recorded_bytes or await self._on_disk(tenant, result_id)
        self._meter.remove(tenant, freed)

    async def discard(self, tenant: str, result_id: str, counted_bytes: int) -> None:
        """Remove what a run has left that did not complete; the meter has counted so many bytes of it."""
        await self._on_disk(tenant, result_id)
        self._meter.remove(tenant, counted_bytes)

    async def remove_stray(self, found: SpooledResult) -> None:
        """Remove a result that no record names."""
        loop = asyncio.get_running_loop()
        freed = await loop.run_in_executor(self._disk, self._results.remove_listed, found)
        self._meter.remove_hashed(found.tenant_hash, freed)

    async def _on_disk(self, tenant: str, result_id: str) -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, self._results.remove, tenant, result_id)
