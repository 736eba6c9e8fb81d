"""Has stored pages cut in sandbox workers: any rows, as Arrow or as typed rows."""

from typing import Final

from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.results.slicing import CutOrder, CutPage
from queryengine.workers.sandbox import LimitExceeded, ProcessLost
from queryengine.workers.sandbox_pool import SandboxPool

CUT_CPU_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 1.0


class Cutting:
    """Cuts in turn, tenant by tenant."""

    def __init__(self, pool: SandboxPool) -> None:
        self._pool = pool

    async def cut(self, tenant: str, order: CutOrder) -> list[CutPage]:
        """The pages of an order. Raises RESULT_LOST when stored pages are missing or damaged, OUT_OF_MEMORY,
        TENANT_BUSY when too many cuts of the tenant wait, and SANDBOX_UNAVAILABLE.
        """
        header = {"type": "cut", "order": order.to_json()}
        try:
            frames = await self._pool.request(tenant, header, cpu_seconds=CUT_CPU_SECONDS)
        except LimitExceeded as cause:
            message = f"these rows take more {cause.limit} to decode than they may; ask for fewer, or read Arrow pages"
            raise error(Reason.OUT_OF_MEMORY, message) from cause
        except ProcessLost as cause:
            message = "stored rows could not be decoded now; nothing is lost, ask again"
            raise error(Reason.SANDBOX_UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS) from cause
        failure = frames[-1].header.get("failure")
        if failure is not None:
            raise QueryEngineError(Failure.from_json(failure))
        return [
            CutPage(
                start_row=frame.header["start_row"],
                row_count=frame.header["row_count"],
                crc32c=frame.header["crc32c"],
                payload=frame.blob,
                is_arrow=frame.header["is_arrow"],
            )
            for frame in frames[:-1]
        ]
