"""What routing rules add to a Submit, in core-microseconds of the server's loop and to a warm SELECT 1.

    python -m bench.routing

Whole services that differ in nothing but their rules, asked in turn within one run: without rules, with 50 of which the
last is for the request by what the request says, and with 50 of which it is by the text and the past. First the plan
alone, by the use case that explains a statement: no RPC, no record. Then SELECT 1 by an RPC.
"""

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import grpc

from queryengine.accepting.submit_call import SubmitCall
from queryengine.app.service import Service
from queryengine.domain.identity import Principal
from queryengine.domain.submission import Submission
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import query_service_pb2_grpc as pb_grpc
from tests.support import WAIT, serving

RULES: Final = 50
ROUNDS: Final = 40
CALLS: Final = 250
"""Of the planner in one round."""
QUERIES: Final = 1_500
WARM: Final = 100

ENGINES: Final = {"duckdb": {"type": "duckdb", "workers": 1}, "spare": {"type": "duckdb", "workers": 1}}


def kinds() -> dict[str, dict[str, Any]]:
    """Rules by name of the measurement; in each, the last rule is the first that is for SELECT 1 of the tenant."""
    asked = {"tenants": ["nobody-*"], "labels": {"job": "nightly"}}
    text = {"tables": ["sales.*", "shop.orders"], "functions": ["approx_*"]}
    last = {"kinds": ["SELECT"], "estimate": {"below_seconds": 30, "or_unknown": True}}
    to = {"to": ["duckdb", "spare"]}
    return {
        "no rules": {},
        f"{RULES} rules, by the request": {
            **{f"rule{number}": {"when": asked, **to} for number in range(RULES - 1)},
            "last": {"when": {"tenants": ["bench"]}, **to},
        },
        f"{RULES} rules, by text and past": {
            **{f"rule{number}": {"when": text, **to} for number in range(RULES - 1)},
            "last": {"when": last, **to},
        },
    }


async def planning(service: Service) -> float:
    """Core-microseconds of one plan of a text that is known."""
    explaining = service.parts.cases.explaining
    principal = Principal(tenant="bench")
    began = time.process_time()
    for _ in range(CALLS):
        call = SubmitCall(
            query_id="",
            principal=principal,
            submission=Submission(tenant="bench", sql="SELECT 1"),
            leave_turn=lambda: None,
        )
        await explaining.explain(call, estimates=False)
    return (time.process_time() - began) / CALLS * 1e6


async def main() -> None:
    async with AsyncExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        services: dict[str, Service] = {}
        calls: dict[str, Any] = {}
        for number, (kind, rules) in enumerate(kinds().items()):
            groups: dict[str, Any] = {"routing": {"rules": rules}} if rules else {}
            service = await opened.enter_async_context(serving(folder / str(number), engines=ENGINES, **groups))
            channel = await opened.enter_async_context(grpc.aio.insecure_channel(service.address))
            services[kind], calls[kind] = service, pb_grpc.QueryServiceStub(channel).Submit
        plans: dict[str, list[float]] = {kind: [] for kind in services}
        times: dict[str, list[float]] = {kind: [] for kind in services}
        request = pb.SubmitRequest(sql="SELECT 1", wait_timeout=WAIT)
        for number in range(QUERIES + WARM):
            for kind, submit in calls.items():
                began = time.perf_counter()
                await submit(request, metadata=(("x-tenant-id", "bench"),))
                if number >= WARM:
                    times[kind].append(time.perf_counter() - began)
        for _ in range(ROUNDS):
            for kind, service in services.items():
                plans[kind].append(await planning(service))
    _print("a plan", plans, "µs of a core", 1)
    _print("SELECT 1", times, "ms, p50", 1e3)


def _print(what: str, found: dict[str, list[float]], unit: str, scale: float) -> None:
    without = statistics.median(found["no rules"])
    for kind, each in found.items():
        median = statistics.median(each)
        print(f"{what:<9} {kind:<28} {median * scale:8.3f} {unit} ({(median - without) * scale:+.3f})", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
