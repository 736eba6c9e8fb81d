"""Calls are let in tenant by tenant, before their requests are read and before anything is done for them.

A turn is for work, not for waiting: a call gives it back when it begins to wait for something, and loses it after a
second in any case, so that slow calls of one tenant never keep all others out.
"""

import asyncio
from typing import Final

from queryengine.domain.turns import Turns
from queryengine.edges.grpc.call import Call, Following

TURN_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.25
"""Between two looks for turns that have lasted too long, while calls wait."""


class Turn:
    """A call's place among those at work."""

    __slots__ = ("_held", "_tenant", "_turns")

    def __init__(self, turns: Turns, held: "dict[Turn, float]", tenant: str, now: float) -> None:
        self._turns = turns
        self._tenant = tenant
        self._held = held
        held[self] = now

    def leave(self) -> None:
        """Let the next call in. Idempotent."""
        if self._held.pop(self, None) is not None:
            self._turns.leave(self._tenant)


class Admission:
    """Gives turns to the calls of all methods."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._held: dict[Turn, float] = {}
        """The calls at work, the oldest first, and since when."""
        self._watching = False

    async def admit(self, call: Call, following: Following) -> bytes | None:
        """The link that has a call wait for its turn. Raises TENANT_BUSY when as many of the tenant wait as may."""
        caller = call.caller
        if not self._turns.enter_now(caller.tenant):
            self._watch()
            await self._turns.enter(caller.tenant)
        turn = Turn(self._turns, self._held, caller.tenant, asyncio.get_running_loop().time())
        caller.leave_turn = turn.leave
        try:
            return await following(call)
        finally:
            turn.leave()

    def _watch(self) -> None:
        if not self._watching:
            self._watching = True
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """End turns that have lasted for too long."""
        self._watching = False
        too_old = asyncio.get_running_loop().time() - TURN_SECONDS
        for turn, since in list(self._held.items()):
            if since > too_old:
                break
            turn.leave()
        if self._turns.waiting:
            self._watch()
