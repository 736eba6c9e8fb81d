"""Floods of one tenant: what another tenant waits meanwhile and afterwards, and what memory stays.

    python -m bench.floods [--calls 10000] [--connections 10] [--only submits]

Each flood comes from a process of its own, all calls at once. Another tenant sends SELECT 1 and waits for its row,
once every 200 ms, from this process. Targets: p95 below 500 ms during the flood, p50 within 1.5 times ten seconds after
it, memory back within 100 MiB. Client, server and flood share the machine.
"""

import argparse
import asyncio
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import grpc

from bench.running import Program, machine, program, server
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import query_service_pb2_grpc as pb_grpc

Stub = pb_grpc.QueryServiceStub
FLOODS: Final = ("submits", "large submits", "bombs", "cancels", "streams", "waits", "typed pages")
LARGE_CALLS: Final = 800
"""Of 900 kB each."""
CALL_SECONDS: Final = 60.0
BEFORE_SECONDS: Final = 5.0
PERIOD_SECONDS: Final = 0.2
SETTLE_SECONDS: Final = 10.0
P95_MS: Final = 500.0
GROWTH: Final = 1.5
KEPT_MIB: Final = 100.0
BOMB: Final = "SELECT " + "(" * 60_000 + "1" + ")" * 60_000
ROWS: Final = "SELECT i, i * 0.5::DOUBLE AS value, 'name_' || i AS name FROM range(200000) t(i)"
LONG: Final = "SELECT count(*) FROM range(1000000) a, range(1000000) b"


def tenant(name: str) -> tuple[tuple[str, str], ...]:
    return (("x-tenant-id", name),)


async def prepared(stub: Stub, flood: str) -> str:
    """The id of the query that the calls are about; empty when they are about none."""
    sql = {"streams": "SELECT 1", "typed pages": ROWS, "waits": LONG}.get(flood)
    if sql is None:
        return ""
    wait = {} if flood == "waits" else {"wait_timeout": {"seconds": 30}}
    reply = await stub.Submit(pb.SubmitRequest(sql=sql, **wait), metadata=tenant("flood"))
    return str(reply.status.query_id)


async def one_call(stub: Stub, flood: str, query_id: str, number: int) -> None:
    """One call of a flood, to its end. Raises what the call ends with."""
    by: dict[str, Any] = {"metadata": tenant("flood"), "timeout": CALL_SECONDS}
    match flood:
        case "submits":
            await stub.Submit(pb.SubmitRequest(sql=f"SELECT {number}"), **by)
        case "large submits":
            value = {"type": {"kind": "TYPE_KIND_STRING"}, "value": {"string_value": "x" * 900_000}}
            await stub.Submit(pb.SubmitRequest(sql="SELECT length(?)", parameters=[value]), **by)
        case "bombs":
            by["metadata"] = tenant(f"flood-{number % 12}")
            await stub.Submit(pb.SubmitRequest(sql=f"{BOMB} AS n{number}"), **by)
        case "cancels":
            await stub.Cancel(pb.CancelRequest(query_id=str(uuid.uuid4())), **by)
        case "waits":
            after = 1 << 60
            request = pb.GetStatusRequest(query_id=query_id, after_version=after, wait_timeout={"seconds": 10})
            await stub.GetStatus(request, **by)
        case "streams":
            async for _ in stub.StreamResults(pb.StreamResultsRequest(query_id=query_id), **by):
                pass
        case "typed pages":
            await stub.FetchPage(
                pb.FetchPageRequest(query_id=query_id, offset=0, format="PAGE_FORMAT_ROWS", page_size=20_000), **by
            )


async def flood_from_here(target: str, flood: str, calls: int, connections: int) -> None:
    """Send the flood; says `ready` before, waits for a line, and says how the calls ended."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 5 << 20)]
    async with AsyncExitStack() as stack:
        stubs = [
            Stub(await stack.enter_async_context(grpc.aio.insecure_channel(target, options=options)))
            for _ in range(connections)
        ]
        query_id = await prepared(stubs[0], flood)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began = time.perf_counter()
        tasks = [one_call(stubs[number % connections], flood, query_id, number) for number in range(calls)]
        ended: Counter[str] = Counter()
        for answer in await asyncio.gather(*tasks, return_exceptions=True):
            ended[answer.code().name if isinstance(answer, grpc.aio.AioRpcError) else type(answer).__name__] += 1
        seconds = time.perf_counter() - began
        how = ", ".join(f"{count} {name.replace('NoneType', 'OK')}" for name, count in sorted(ended.items()))
        print(f"over {how} in {seconds:.1f} s", flush=True)


class Neighbour:
    """Another tenant that sends SELECT 1 every PERIOD_SECONDS, whether those before were answered or not: else one that
    waits for long would hide how long others would have waited.
    """

    def __init__(self, stub: Stub, *, unseen: bool) -> None:
        self._stub = stub
        self._unseen = unseen
        self._number = 0

    async def served(self, while_true: Callable[[], bool]) -> list[float]:
        """Milliseconds of each call, sorted."""
        calls = []
        while while_true() or not calls:
            calls.append(asyncio.create_task(self._one()))
            await asyncio.sleep(PERIOD_SECONDS)
        return sorted(await asyncio.gather(*calls))

    async def _one(self) -> float:
        self._number += 1
        sql = f"SELECT {self._number}" if self._unseen else "SELECT 1"
        began = time.perf_counter()
        request = pb.SubmitRequest(sql=sql, wait_timeout={"seconds": 30})
        try:
            reply = await self._stub.Submit(request, metadata=tenant("other"), timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError:
            # Its own queue is full of those before, which is as bad as it gets.
            return CALL_SECONDS * 1e3
        assert reply.HasField("end"), reply
        return (time.perf_counter() - began) * 1e3


def until(seconds: float) -> Callable[[], bool]:
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() < end


def at(times: list[float], percent: int) -> float:
    return times[min(len(times) - 1, len(times) * percent // 100)]


async def measure(process: Program, target: str, flood: str, calls: int, connections: int) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        stub = Stub(channel)
        neighbour = Neighbour(stub, unseen=flood == "bombs")
        await neighbour.served(until(1))
        before = await neighbour.served(until(BEFORE_SECONDS))
        memory = process.resident_mib()
        peak = memory
        arguments = ("--flood", flood, "--target", target, "--calls", str(calls), "--connections", str(connections))
        with program("bench.floods", *arguments) as sending:
            await asyncio.to_thread(sending.line, "(ready)")
            over = asyncio.create_task(asyncio.to_thread(sending.go, r"over (.*)"))
            cpu = process.core_seconds()[0]

            def going_on() -> bool:
                nonlocal peak
                peak = max(peak, process.resident_mib())
                return not over.done()

            during = await neighbour.served(going_on)
            how = await over
            cpu = process.core_seconds()[0] - cpu
        await asyncio.sleep(SETTLE_SECONDS)
        after = await neighbour.served(until(BEFORE_SECONDS))
    p95, growth, kept = at(during, 95), at(after, 50) / at(before, 50), process.resident_mib() - memory
    met = p95 < P95_MS and growth < GROWTH and kept < KEPT_MIB
    print(f"{calls} {flood}: {how}; {cpu:.1f} s of processor time of the server")
    print(f"  SELECT 1 of another tenant, p50/p95: before {at(before, 50):.1f}/{at(before, 95):.1f} ms", end="")
    print(f", during {at(during, 50):.1f}/{p95:.1f} ms (most {during[-1]:.0f}, {len(during)} calls)", end="")
    print(f", 10 s after {at(after, 50):.1f}/{at(after, 95):.1f} ms")
    print(f"  server memory {memory:.0f} MiB, peak +{peak - memory:.0f}, after {kept:+.0f}", end="")
    print(f"   {'met' if met else 'missed'}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what floods of one tenant cost another.")
    parser.add_argument("--calls", type=int, default=10_000, help="calls of a flood (default 10000)")
    parser.add_argument("--connections", type=int, default=10, help="connections they come by (default 10)")
    parser.add_argument("--only", choices=FLOODS, help="one flood instead of all")
    parser.add_argument("--flood", choices=FLOODS, help=argparse.SUPPRESS)
    parser.add_argument("--target", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.flood:
        asyncio.run(flood_from_here(given.target, given.flood, given.calls, given.connections))
        return
    print(machine())
    for flood in [given.only] if given.only else FLOODS:
        calls = {"large submits": min(given.calls, LARGE_CALLS), "bombs": 12, "typed pages": 60}.get(flood, given.calls)
        # A server of its own for each, with the limits that users have.
        with server(limits={}) as (process, target):
            asyncio.run(measure(process, target, flood, calls, given.connections))


if __name__ == "__main__":
    main()
