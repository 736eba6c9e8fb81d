"""Slots that are lent for the plan of an engine, beside queries that want them."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission
from queryengine.executing.engine_plans import EnginePlan, EnginePlans
from queryengine.workers.supervisor import Slot
from tests.unit.fake_slots import FakeSlot, FakeSlots

SUBMISSION = Submission(tenant="acme", sql="SELECT 1")
PLAN = Plan(engine="duck")


@dataclass(eq=False)
class AskedSlot(FakeSlot):
    """A slot whose worker answers when the test opens the gate."""

    async def ask(self, kind: str, *, seconds: float, **details: Any) -> dict[str, str]:
        slots = cast("Lent", self.owner)
        slots.asked.set()
        await slots.gate.wait()
        return {"plan": "a scan"}


class Lent(FakeSlots):
    """One slot, whose worker is asked for plans."""

    def __init__(self) -> None:
        super().__init__({"duck": 1})
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    def take(self, engine: str) -> Slot | None:
        if super().take(engine) is None:
            return None
        return cast("Slot", AskedSlot(engine, self))


async def test_a_slot_is_said_to_be_free_again_once_it_was_given_back() -> None:
    slots, seen = Lent(), []
    plans = EnginePlans(slots, lambda _: [], waiting=lambda _: 0, freed=lambda: seen.append(slots.has_free("duck")))
    asking = asyncio.ensure_future(plans.of(SUBMISSION, PLAN))
    await slots.asked.wait()
    assert seen == []
    slots.gate.set()
    assert await asking == EnginePlan("a scan")
    assert seen == [True]


async def test_it_is_said_also_when_the_caller_leaves() -> None:
    slots, seen = Lent(), []
    plans = EnginePlans(slots, lambda _: [], waiting=lambda _: 0, freed=lambda: seen.append(slots.has_free("duck")))
    asking = asyncio.ensure_future(plans.of(SUBMISSION, PLAN))
    await slots.asked.wait()
    asking.cancel()
    await asyncio.wait([asking])
    assert seen == [True]


async def test_a_slot_that_queries_wait_for_is_not_taken() -> None:
    slots = Lent()
    slots.gate.set()
    waiting = Counter(duck=1)
    plans = EnginePlans(slots, lambda _: [], waiting=waiting.__getitem__, freed=lambda: None)
    assert await plans.of(SUBMISSION, PLAN) == EnginePlan(withheld="queries wait for the engine; ask again")
    assert not slots.asked.is_set()
    waiting.clear()
    assert await plans.of(SUBMISSION, PLAN) == EnginePlan("a scan")
