"""What a long queue costs those who are not in it, and how good the guesses of start and end are.

    PYTHONPATH=tests/plugins python -m bench.waiting [--queued N] [--calls N]

First on a server in this process, with an engine of two slots that are held: Submit and GetStatus of one tenant while
nothing waits and while N queries of another one do, in ms; then how long the first query of a third tenant waits once
the slots are free and each query takes 20 ms. Then 500 simulated queries of two tenants on four slots, against a clock
of the simulation: how far off the guesses were that each was given when it came.
"""

import argparse
import asyncio
import heapq
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import grpc

from queryengine.executing.dispatcher import Dispatcher, Start, WaitingPlace
from queryengine.executing.estimates import Estimates
from queryengine.executing.places import Places
from queryengine.executing.queue import EngineQueue
from queryengine.executing.shares import Shares
from queryengine.live.query import LiveQuery
from queryengine.workers.supervisor import Slot
from tests import store_values
from tests.support import RUNNING, Api, serving
from tests.unit.core_values import HandClock, share_limits, throttle
from tests.unit.fake_slots import FakeSlots

SIMULATED = 500
STATEMENTS = {f"s{number}": 2.0**number for number in range(-2, 4)}
"""How many seconds each takes, on average."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=500)
    given = parser.parse_args()
    asyncio.run(on_a_server(given.queued, given.calls))
    simulated()


async def on_a_server(queued: int, calls: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        gate = Path(folder) / "gate"
        # No long run, of which one tenant may have half of the slots.
        most = timedelta(minutes=30)
        async with (
            serving(
                Path(folder) / "state",
                engines={"scripted": {"type": "scripted", "workers": 2}},
                tenants={"*": {"queued": 10 * queued, "running": 2}},
                limits={"queue_timeout_seconds": 3600, "shared_seconds": 0},
            ) as service,
            grpc.aio.insecure_channel(service.address) as channel,
        ):
            many, one, late = (Api(channel, tenant) for tenant in ("many", "one", "late"))
            holders = []
            for _ in range(2):
                held = (await many.script(f"gate {gate}; rows 1", limits={"execution_timeout": most})).status
                await many.reached(held.query_id, RUNNING)
                holders.append(held.query_id)
            print(f"{'ms':34} {'p50':>8} {'p99':>8}")
            await measured("nothing waits", one, calls)
            for start in range(0, queued, 100):
                await asyncio.gather(*(many.script("wait 20; rows 1") for _ in range(min(100, queued - start))))
            await measured(f"{queued} wait", one, calls)
            await one.cancel_matching(labels={"bench": "waiting"})
            began = time.perf_counter()
            gate.touch()
            first = (await late.script("rows 1", wait_timeout=timedelta(seconds=60))).status
            took = time.perf_counter() - began
            free = [(await many.ended(each)).end_time.ToMicroseconds() for each in holders]
            waited = (first.start_time.ToMicroseconds() - max(first.submit_time.ToMicroseconds(), min(free))) / 1e6
            print(f"first query of another tenant: started {waited:.3f} s after it could, answered after {took:.3f} s")
            print()


async def measured(what: str, api: Api, calls: int) -> None:
    submits: list[float] = []
    looks: list[float] = []
    for _ in range(calls):
        reply = await timed(submits, lambda: api.script("rows 1", labels={"bench": "waiting"}))
        await timed(looks, lambda query_id=reply.status.query_id: api.status(query_id))
        await api.cancel(reply.status.query_id)
    for name, times in (("Submit", submits), ("GetStatus", looks)):
        times.sort()
        print(f"{name + ', ' + what:34} {times[len(times) // 2]:8.2f} {times[len(times) * 99 // 100]:8.2f}")


async def timed(times: list[float], call: Callable[[], Awaitable]) -> object:  # type: ignore[type-arg]
    began = time.perf_counter()
    reply = await call()
    times.append((time.perf_counter() - began) * 1000)
    return reply


class Simulation:
    """Queries that come at random and take about as long as their statement does."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = HandClock()
        slots = FakeSlots({"main": 4})
        self.shares = Shares(["main"], share_limits(), self.clock.now_us, throttle(self.clock, running=3, queued=1000))
        self.queues = {"main": EngineQueue()}
        self.estimates = Estimates([])
        self.dispatcher = Dispatcher(self.queues, slots=slots, shares=self.shares, clock=self.clock)
        self.places = Places(self.queues, slots=slots, shares=self.shares, estimates=self.estimates, clock=self.clock)
        self.ends: list[tuple[int, int, LiveQuery, Slot]] = []
        self.started: dict[str, int] = {}
        self.ended: dict[str, int] = {}
        self.guessed: dict[str, tuple[int | None, int | None]] = {}

    def run(self, count: int) -> None:
        for number in range(count):
            self.until(self.clock.now + int(self.random.expovariate(1.4) * 1e6))
            self.come(number)
        while self.ends:
            self.until(self.ends[0][0])

    def come(self, number: int) -> None:
        sql = self.random.choice([*STATEMENTS])
        asked = store_values.submission(sql=sql, priority=self.random.choice([0, 0, 0, 2]))
        made = store_values.query(number, asked=asked, tenant=self.random.choice("aab"), submit_us=self.clock.now)
        live = LiveQuery(made.but(plan=replace(made.plan, engine="main", queue_timeout_ms=10**9)))
        place = self.dispatcher.reserve(live.query)
        if isinstance(place, WaitingPlace):
            self.dispatcher.enqueue(live, place)
            found = self.places.of(live)
            self.guessed[live.query.query_id] = found.start_us, found.end_us
            self.decide()
        else:
            self.start(live, place)

    def start(self, live: LiveQuery, slot: Slot) -> None:
        mean = STATEMENTS[live.query.submission.sql]
        took_us = int(mean * self.random.lognormvariate(0, 0.3) * 1e6)
        self.started[live.query.query_id] = self.clock.now
        heapq.heappush(self.ends, (self.clock.now + took_us, len(self.started), live, slot))

    def until(self, now_us: int) -> None:
        while self.ends and self.ends[0][0] <= now_us:
            self.clock.now, _, live, slot = heapq.heappop(self.ends)
            query = live.query
            self.ended[query.query_id] = self.clock.now
            took_us = self.clock.now - self.started[query.query_id]
            self.estimates.learn("main", query.query_hash, took_us)
            self.places.forget(live)
            self.dispatcher.free(query, slot)
            self.decide()
        self.clock.now = max(self.clock.now, now_us)

    def decide(self) -> None:
        while isinstance(decision := self.dispatcher.decide(), Start):
            self.places.forget(decision.live)
            self.start(decision.live, decision.slot)


def simulated() -> None:
    starts: list[float] = []
    ends: list[float] = []
    waits: list[float] = []
    simulation = Simulation(seed=14)
    simulation.run(SIMULATED)
    for query_id, (start_us, end_us) in simulation.guessed.items():
        if start_us is not None:
            starts.append(abs(start_us - simulation.started[query_id]) / 1e6)
            waits.append((simulation.started[query_id] - start_us) / 1e6)
        if end_us is not None:
            ends.append(abs(end_us - simulation.ended[query_id]) / 1e6)
    took = [simulation.ended[each] - simulation.started[each] for each in simulation.ended]
    print(
        f"{SIMULATED} simulated queries, {len(simulation.guessed)} waited; a run takes"
        f" {statistics.median(took) / 1e6:.2f} s in the median"
    )
    print(f"median error of the guessed start {statistics.median(starts):.2f} s, of the end", end=" ")
    print(f"{statistics.median(ends):.2f} s")
    print(f"the start came {statistics.median(waits):+.2f} s after the guess in the median")


if __name__ == "__main__":
    main()
