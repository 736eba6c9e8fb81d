"""The sandbox workers of a server, by what they are for, so that no kind of work ever waits for another kind."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from queryengine.domain.turns import TurnLimits
from queryengine.engines.kit.checking import options_of_check
from queryengine.telemetry.logs import LogStyle
from queryengine.workers.forking import Template
from queryengine.workers.sandbox_pool import SandboxPool

MEMORY_LIMIT_MIB: Final = 4096
SLICED_NICENESS: Final = 5
THOROUGH_NICENESS: Final = 10
"""What takes long gets the processor after the server, its engines and short checks."""


class Sandboxes:
    """Pools: checks of short texts, first slices of long ones, checks that take long, cuts, and inspections of engines,
    whose process is given secrets among their options: close that pool once they are done. `close` must be called.
    """

    def __init__(
        self,
        engines: Mapping[str, Mapping[str, Any]],
        log: LogStyle,
        template: Template,
        *,
        spool: str,
        cuts: str,
        check_workers: int,
        cut_workers: int,
        tenant_waiting: int,
        tenant_waiting_bytes: int,
    ) -> None:
        """`engines` maps a configured name to its `type` and `options`; `spool` is where results are stored, `cuts`
        where rows go that are too large for a frame.
        """

        def pool(engines: Mapping[str, Mapping[str, Any]], processes: int, **role_fields: Any) -> SandboxPool:
            known = {name: _of_check(engine) for name, engine in engines.items()}
            role = {"type": "sandbox", "engines": known, "memory_limit_mib": MEMORY_LIMIT_MIB, **role_fields}
            # One process is always left to others, where there are two.
            limits = TurnLimits(
                places=processes,
                tenant_places=max(1, processes - 1),
                tenant_waiting=tenant_waiting,
                tenant_waiting_bytes=tenant_waiting_bytes,
            )
            return SandboxPool(role, log, template, limits)

        self.quick_checks = pool(engines, check_workers // 2)
        sliced = (check_workers - self.quick_checks.size) // 2
        self.sliced_checks = pool(engines, sliced, niceness=SLICED_NICENESS) if sliced else None
        """None where there are only two processes for checks."""
        self.thorough_checks = pool(
            engines, check_workers - self.quick_checks.size - sliced, niceness=THOROUGH_NICENESS
        )
        # What cuts needs no engine, and what inspects one is given it with the request.
        self.cuts = pool({}, cut_workers, spool=spool, cuts=cuts)
        self.inspections = pool({}, 1)
        sliced_checks = (self.sliced_checks,) if self.sliced_checks is not None else ()
        self._pools = (self.quick_checks, *sliced_checks, self.thorough_checks, self.cuts, self.inspections)

    async def start(self) -> None:
        """Start what the first calls need; further processes start when they are needed. Raises ProcessLost."""
        await asyncio.gather(self.quick_checks.start(), self.cuts.start())

    async def start_all(self) -> None:
        """Start every process now. Raises ProcessLost."""
        await asyncio.gather(*(pool.start(pool.size) for pool in self._pools))

    async def close(self) -> None:
        """End all processes. Idempotent."""
        await asyncio.gather(*(pool.close() for pool in self._pools))


def _of_check(engine: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": engine["type"], "options": options_of_check(engine["type"], engine["options"])}
