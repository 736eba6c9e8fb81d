"""Cuts stored pages in sandbox workers: any rows, as Arrow or as typed rows."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import google_crc32c

from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.reading.byte_budget import ByteBudget
from queryengine.results.slicing import CutOrder, CutPage
from queryengine.workers.sandbox import LimitExceeded, ProcessLost
from queryengine.workers.sandbox_pool import SandboxPool

CUT_CPU_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 1.0


class LargeRow:
    """A page of one row that is too large to be held, in a file without a name."""

    def __init__(self, page: CutPage, descriptor: int, disk: Executor) -> None:
        self.page = page
        self._descriptor = descriptor
        self._disk = disk

    def part_count(self, part_bytes: int) -> int:
        return -(-self.page.in_file_bytes // part_bytes)

    async def parts(self, part_bytes: int) -> AsyncIterator[bytes]:
        """The payload in order. Raises STORE_UNAVAILABLE, in place of the last part, when the file was changed."""
        loop = asyncio.get_running_loop()
        crc = 0
        for start in range(0, self.page.in_file_bytes, part_bytes):
            length = min(part_bytes, self.page.in_file_bytes - start)
            part = await loop.run_in_executor(self._disk, os.pread, self._descriptor, length, start)
            crc = google_crc32c.extend(crc, part)
            if start + length == self.page.in_file_bytes and crc != self.page.crc32c:
                raise error(Reason.STORE_UNAVAILABLE, "a decoded row is damaged; read it again")
            yield part


class Cutting:
    """Cuts in turn, tenant by tenant. What it hands out is in the budget of bytes in flight while it is used."""

    def __init__(self, pool: SandboxPool, byte_budget: ByteBudget, folder: Path, disk: Executor) -> None:
        """The folder is for rows that are too large to be held; what a former process left in it is removed. It must
        exist before the processes of the pool are, which may write to it alone. Raises OSError when it
        cannot be made.
        """
        self._pool = pool
        self.byte_budget = byte_budget
        self._folder = folder
        self._disk = disk
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.iterdir():
            left.unlink()

    @asynccontextmanager
    async def page(self, tenant: str, order: CutOrder) -> AsyncIterator[CutPage]:
        """As many of the rows asked for as fit, from the first on. Raises what `cut` raises, OUT_OF_MEMORY, TENANT_BUSY
        when too much of the tenant waits, and SANDBOX_UNAVAILABLE.
        """
        async with self.byte_budget.held(tenant, order.held_bytes) as resize:
            page = await self._cut(tenant, order)
            resize(len(page.payload))
            yield page

    @asynccontextmanager
    async def page_or_row(self, tenant: str, order: CutOrder) -> AsyncIterator[CutPage | LargeRow]:
        """As `page`, but a first row that does not fit comes alone, to be read in parts."""
        with self._file() as (path, descriptor):
            async with self.byte_budget.held(tenant, order.held_bytes) as resize:
                page = await self._cut(tenant, replace(order, file=path))
                path.unlink()
                resize(min(len(page.payload) + page.in_file_bytes, order.bytes_max))
                yield LargeRow(page, descriptor, self._disk) if page.in_file_bytes else page

    @contextmanager
    def _file(self) -> Iterator[tuple[Path, int]]:
        path = self._folder / str(uuid.uuid4())
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as cause:
            message = f"rows cannot be decoded now: {cause.strerror}; try again, or read them as Arrow"
            raise error(Reason.STORE_UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS) from cause
        try:
            yield path, descriptor
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    async def _cut(self, tenant: str, order: CutOrder) -> CutPage:
        header = {"type": "cut", "order": order.to_json()}
        try:
            frames = await self._pool.request(tenant, header, order.blob, cpu_seconds=CUT_CPU_SECONDS)
        except LimitExceeded as cause:
            message = f"these rows take more {cause.limit} to decode than they may; ask for fewer, or read Arrow pages"
            raise error(Reason.OUT_OF_MEMORY, message) from cause
        except ProcessLost as cause:
            message = "stored rows could not be decoded now; nothing is lost, ask again"
            raise error(Reason.SANDBOX_UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS) from cause
        failure = frames[-1].header.get("failure")
        if failure is not None:
            raise QueryEngineError(Failure.from_json(failure))
        fields = {name: value for name, value in frames[0].header.items() if name != "type"}
        return CutPage(payload=frames[0].blob, **fields)
