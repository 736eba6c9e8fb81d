"""Statements that are made to hurt, of many tenants at once: what another tenant's Submit takes meanwhile.

    python -m bench.bombs [--tenants 20] [--seconds 20] [--only deep-parentheses]

Each tenant keeps two calls in flight, from a process of its own; each call is another bomb, and those that are accepted
run for a second at most. Another tenant submits a SELECT of its own every 100 ms, and every second a statement of
20 KB, to an engine of its own. Targets: p99 of its short Submits below 250 ms, p99 of how late the server's event loop
comes below 50 ms. Client, server and bombs share the machine; the figures without bombs, in the same run, say what the
machine is worth.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Final

import grpc

from bench.running import machine, program
from queryengine.app.service import Service
from queryengine.settings import Settings
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import query_service_pb2_grpc as pb_grpc

Stub = pb_grpc.QueryServiceStub
SIZE: Final = 100_000
P99_MS: Final = 250.0
LAG_P99_MS: Final = 50.0
CALL_SECONDS: Final = 120.0
PERIOD_SECONDS: Final = 0.1
LONG_PERIOD_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.005
IN_FLIGHT: Final = 2
BEFORE_SECONDS: Final = 5.0

ENGINES: Final = MappingProxyType(
    {
        "quiet": {"type": "duckdb"},
        "duckdb": {"type": "duckdb"},
        # Read by sqlglot, and never reached.
        "parsed": {"type": "sqlalchemy", "options": {"url": "trino://nobody@127.0.0.1:9/x"}, "workers": 1},
    }
)


def filled(unit: str, before: str = "SELECT ", after: str = "", size: int = SIZE) -> str:
    """A text of about that size."""
    return (
        before
        + unit * ((size - len(before)) // (len(unit) + len(after)))
        + "1"
        + after * ((size - len(before)) // (len(unit) + len(after)))
    )


BOMBS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "deep-parentheses": ("duckdb", filled("(", after=")")),
        "case-nests": ("duckdb", filled("CASE WHEN a THEN ", after=" END")),
        "in-list": ("duckdb", f"SELECT 1 WHERE 1 IN ({','.join(map(str, range(17_000)))})"),
        "joins": ("duckdb", f"SELECT 1 FROM t{' JOIN t ON 1=1' * 6000}"),
        "with-chain": (
            "duckdb",
            "WITH a0 AS (SELECT 1)" + "".join(f", a{n} AS (FROM a{n - 1})" for n in range(1, 4200)) + " SELECT 1",
        ),
        "long-token": ("duckdb", f"SELECT {'x' * SIZE}"),
        "long-string": ("duckdb", f"SELECT '{'x' * SIZE}"),
        "json-paths": ("duckdb", "SELECT a" + "->'b'" * 20_000),
        "unary-operators": ("duckdb", filled("- ")),
        "short-parentheses": ("duckdb", filled("(", after=")", size=8_000)),
        "short-not": ("duckdb", filled("NOT ", size=8_000)),
        "parsed-parentheses": ("parsed", filled("(", after=")")),
        "parsed-case": ("parsed", filled("CASE WHEN a THEN ", after=" END")),
        "parsed-joins": ("parsed", f"SELECT 1 FROM a{''.join(f' JOIN b{n} ON 1=1' for n in range(5000))}"),
        "parsed-backtracking": ("parsed", f"SELECT {'ROW(' * 30}1{')' * 30}"),
        "parsed-short": ("parsed", f"SELECT {'[' * 300}1{']' * 300}, {'(' * 300}1{')' * 300}"),
        "parsed-json": ("parsed", "SELECT a" + "[1]" * 30_000),
    }
)
"""By name: the engine, and the text."""


async def serve(folder: str) -> None:
    """A server in this process, which says its address, and at each line how late its loop came since the last one."""
    addresses = dict.fromkeys(("listen", "admin_listen", "metrics_listen"), "127.0.0.1:0")
    settings = Settings(
        server={**addresses, "drain_seconds": 0},
        engines=dict(ENGINES),
        state={"directory": folder},
        log={"level": "error"},
    )
    service = Service(settings)
    await service.start()
    late: list[float] = []

    async def look() -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            late.append(max(0.0, loop.time() - due) * 1e3)

    looking = asyncio.create_task(look())
    print(f"gRPC {service.address}", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        found = sorted(late)
        late.clear()
        print(json.dumps({"p50": at(found, 50), "p99": at(found, 99), "most": found[-1]}), flush=True)
    looking.cancel()
    await service.stop(0)


async def attack(target: str, tenants: int, seconds: float, only: str) -> None:
    """Send bombs of so many tenants for that time; says how the calls ended."""
    names = [only] if only else list(BOMBS)
    ended: Counter[str] = Counter()
    until = time.monotonic() + seconds
    numbers = iter(range(1 << 60))

    async def one(stub: Stub, tenant: str) -> None:
        while time.monotonic() < until:
            number = next(numbers)
            engine, text = BOMBS[names[number % len(names)]]
            try:
                # Each text is another one, so that none is remembered.
                request = pb.SubmitRequest(
                    sql=f"{text} AS n{number}", engine=engine, limits={"execution_timeout": {"seconds": 1}}
                )
                await stub.Submit(request, metadata=(("x-tenant-id", tenant),), timeout=CALL_SECONDS)
                ended["accepted"] += 1
            except grpc.aio.AioRpcError as cause:
                ended[cause.code().name] += 1

    options = [("grpc.use_local_subchannel_pool", 1)]
    async with AsyncExitStack() as stack:
        calls = []
        for number in range(tenants):
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(target, options=options))
            calls += [one(Stub(channel), f"bomber-{number}") for _ in range(IN_FLIGHT)]
        print("ready", flush=True)
        await asyncio.gather(*calls)
    print("over " + ", ".join(f"{count} {name}" for name, count in sorted(ended.items())), flush=True)


class Neighbour:
    """Another tenant, whose calls go out on time whether those before were answered or not."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._number = 0

    async def served(self, period: float, while_true: Callable[[], bool], *, size: int = 0) -> list[float]:
        """Milliseconds of each call, sorted."""
        calls = []
        while while_true() or not calls:
            self._number += 1
            items = ",".join(map(str, range(size // 5)))
            sql = f"SELECT {self._number}" + (f" WHERE 1 IN ({items})" if size else "")
            calls.append(asyncio.create_task(self._one(sql)))
            await asyncio.sleep(period)
        return sorted(await asyncio.gather(*calls))

    async def both(self, while_true: Callable[[], bool]) -> tuple[list[float], list[float]]:
        """Of short statements and of long ones."""
        return await asyncio.gather(  # type: ignore[return-value]
            self.served(PERIOD_SECONDS, while_true), self.served(LONG_PERIOD_SECONDS, while_true, size=20_000)
        )

    async def _one(self, sql: str) -> float:
        began = time.perf_counter()
        request = pb.SubmitRequest(sql=sql, engine="quiet")
        try:
            await self._stub.Submit(request, metadata=(("x-tenant-id", "other"),), timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError:
            # As bad as it gets.
            return CALL_SECONDS * 1e3
        return (time.perf_counter() - began) * 1e3


def at(times: list[float], percent: int) -> float:
    return times[min(len(times) - 1, len(times) * percent // 100)]


def shown(times: list[float]) -> str:
    return f"p50/p99/most {at(times, 50):.0f}/{at(times, 99):.0f}/{times[-1]:.0f} ms"


async def measure(target: str, ask_lag: Callable[[], dict[str, float]], arguments: list[str]) -> None:
    async with grpc.aio.insecure_channel(target) as channel:
        neighbour = Neighbour(Stub(channel))
        until = time.monotonic() + 1
        await neighbour.both(lambda: time.monotonic() < until)
        ask_lag()
        until = time.monotonic() + BEFORE_SECONDS
        before, before_long = await neighbour.both(lambda: time.monotonic() < until)
        lag_before = ask_lag()
        with program("bench.bombs", "--attack", target, *arguments) as sending:
            await asyncio.to_thread(sending.line, "(ready)")
            over = asyncio.create_task(asyncio.to_thread(sending.line, r"over (.*)"))
            during, during_long = await neighbour.both(lambda: not over.done())
            lag = ask_lag()
            ended = await over
    met = at(during, 99) < P99_MS and lag["p99"] < LAG_P99_MS
    print(f"bombs: {ended}")
    print(f"  short Submits of another tenant: before {shown(before)}, during {shown(during)} ({len(during)} calls)")
    print(f"  its statements of 20 KB:         before {shown(before_long)}, during {shown(during_long)}")
    for name, found in (("before", lag_before), ("during", lag)):
        print(f"  event loop late {name}: p50/p99/most {found['p50']:.1f}/{found['p99']:.1f}/{found['most']:.0f} ms")
    print(f"  {'met' if met else 'missed'}", flush=True)


def run(tenants: int, seconds: float, only: str) -> None:
    print(machine())
    arguments = ["--tenants", str(tenants), "--seconds", str(seconds), *(["--only", only] if only else [])]
    with (
        tempfile.TemporaryDirectory(prefix="queryengine-bench-") as folder,
        program("bench.bombs", "--serve", str(Path(folder) / "state")) as server,
    ):
        target = server.line(r"gRPC (\S+)")
        asyncio.run(measure(target, server.ask, arguments))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what bombs of many tenants cost another.")
    parser.add_argument("--tenants", type=int, default=20, help="tenants that send bombs (default 20)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long they do (default 20)")
    parser.add_argument("--only", choices=BOMBS, default="", help="one kind of bombs instead of all in turn")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve))
    elif given.attack:
        asyncio.run(attack(given.attack, given.tenants, given.seconds, given.only))
    else:
        run(given.tenants, given.seconds, given.only)


if __name__ == "__main__":
    main()
