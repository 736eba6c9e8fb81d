"""Gives memory back after a peak. While there is work, malloc keeps what is freed, because fresh memory is slow."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

PERIOD_SECONDS: Final = 2.0
GROWTH_BYTES: Final = 64 << 20
"""Less than this above what was left the last time is not worth the time that it takes to get it again."""
_STATM: Final = Path("/proc/self/statm")


class Trimming:
    """Looks now and then, and gives back when no call is at work."""

    def __init__(self, *, is_idle: Callable[[], bool], give_back: Callable[[], bool], threads: Executor) -> None:
        self._is_idle = is_idle
        self._give_back = give_back
        self._threads = threads
        self._left_bytes = resident_bytes()

    async def keep_trimming(self) -> None:
        """For ever, or until there is nothing to gain on this machine."""
        while self._left_bytes:
            await asyncio.sleep(PERIOD_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Give memory back if there was a peak and it is over."""
        now_bytes = resident_bytes()
        self._left_bytes = min(self._left_bytes, now_bytes)
        if now_bytes - self._left_bytes > GROWTH_BYTES and self._is_idle():
            await asyncio.get_running_loop().run_in_executor(self._threads, self._give_back)
            self._left_bytes = resident_bytes()


def resident_bytes() -> int:
    """Memory of this process; 0 where the kernel does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
