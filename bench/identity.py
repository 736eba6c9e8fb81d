"""What it costs to say who calls, and whether the time of a refusal says anything of an API key.

    python -m bench.identity

Everything is measured in turn within one run. First the authenticator alone, with 1 key and with 100,000: the time to
accept a key and to refuse one that is unknown, one that is right but for its end, one that is revoked and one that has
expired; and what so many keys take at the start. Then whole services, which differ in nothing but their authenticators:
the median of a warm SELECT 1.
"""

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import psutil

from queryengine.domain.api_keys import KEYS_MAX, ApiKey
from queryengine.domain.clock import SystemClock
from queryengine.domain.errors import QueryEngineError
from queryengine.domain.identity import Role
from queryengine.domain.key_text import new_key
from queryengine.live.tasks import Tasks
from queryengine.policy.identity import Presented
from queryengine.policy.identity.api_keys import ApiKeys
from queryengine.policy.identity.key_index import KeyIndex
from queryengine.store import Store
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import query_service_pb2_grpc as pb_grpc
from tests.support import WAIT, serving

MANY: Final = 100_000
ROUNDS: Final = 40
CALLS: Final = 500
"""Of each kind in one round."""
QUERIES: Final = 1_500


@dataclass(frozen=True)
class Texts:
    """Keys of a record, and what is none."""

    good: str
    refused: Mapping[str, str]


async def fill(path: Path, count: int) -> Texts:
    """A record with so many keys that work, and two that do not."""
    store = await Store.open(path, owner="bench")
    now_us = SystemClock().now_us()

    async def add(number: int, **given: Any) -> tuple[ApiKey, str]:
        new = new_key()
        key = ApiKey(
            key_id=new.key_id,
            tenant=f"tenant-{number // (KEYS_MAX - 10)}",
            subject=f"service-{number}",
            roles=frozenset({Role.SUBMIT, Role.READ, Role.CANCEL}),
            label="made by a benchmark",
            cidrs=("127.0.0.0/8", "::1/128"),
            created_us=now_us,
            **given,
        )
        await store.keys.add(key, new.secret_hash, now_us=now_us)
        return key, new.text

    (_, good), (revoked, revoked_text) = await add(0), await add(0)
    _, expired_text = await add(0, expire_us=now_us + 1)
    await store.keys.end(revoked.but(revoke_us=now_us), now_us=now_us)
    for first in range(1, count, 500):
        await asyncio.gather(*(add(number) for number in range(first, min(first + 500, count))))
    await store.close()
    tail = "0" if good[-1] != "0" else "1"
    return Texts(
        good,
        {
            "unknown": new_key().text,
            "right but for the end": good[:-1] + tail,
            "revoked": revoked_text,
            "expired": expired_text,
        },
    )


async def measure_authenticator(path: Path, texts: Texts, count: int) -> None:
    process = psutil.Process()
    store = await Store.open(path, owner="bench")
    tasks = Tasks()
    index = KeyIndex(store.keys, SystemClock(), tasks)
    gc.collect()
    before, began, used = process.memory_info().rss, time.perf_counter(), time.process_time()
    await index.begin()
    took, used = time.perf_counter() - began, time.process_time() - used
    grown = (process.memory_info().rss - before) / 2**20
    print(f"{count:,} keys: read in {took * 1e3:.0f} ms ({used * 1e3:.0f} ms of a processor), {grown:.0f} MiB")
    api_keys = ApiKeys(index)
    shown = {
        kind: Presented((("user-agent", "bench"), ("authorization", f"ApiKey {text}")), "ipv4:127.0.0.1:5000")
        for kind, text in {"accepted": texts.good, **texts.refused}.items()
    }
    times: dict[str, list[float]] = {kind: [] for kind in shown}
    for _ in range(ROUNDS):
        for kind, presented in shown.items():
            times[kind].append(await _each(api_keys, presented))
    for kind, found in times.items():
        spread = statistics.quantiles(found, n=10)
        print(
            f"  {kind:<24}{statistics.median(found):7.2f} µs   (tenths {spread[0]:.2f} to {spread[-1]:.2f})", flush=True
        )
    await tasks.close()
    await index.close()
    await store.close()


async def _each(api_keys: ApiKeys, presented: Presented) -> float:
    """Microseconds of one call."""
    began = time.perf_counter()
    for _ in range(CALLS):
        with suppress(QueryEngineError):
            await api_keys.authenticate(presented)
    return (time.perf_counter() - began) / CALLS * 1e6


async def measure_services(folder: Path, few: Texts, many: Texts) -> None:
    """The folder holds a state with one key and one with many."""
    auth = {"authenticators": [{"type": "api_key"}]}
    engines = {"duckdb": {"type": "duckdb", "workers": 1}}
    kinds: dict[str, tuple[str, dict[str, Any], str]] = {
        "none": ("none", {}, ""),
        "api_key, 1 key": ("few", {"auth": auth}, few.good),
        f"api_key, {MANY:,} keys": ("many", {"auth": auth}, many.good),
    }
    async with AsyncExitStack() as opened:
        calls: dict[str, Callable[[], Any]] = {}
        for kind, (name, groups, text) in kinds.items():
            began = time.perf_counter()
            service = await opened.enter_async_context(serving(folder / name, engines=engines, **groups))
            print(f"{kind}: started in {time.perf_counter() - began:.2f} s", flush=True)
            channel = await opened.enter_async_context(grpc.aio.insecure_channel(service.address))
            metadata = (("authorization", f"ApiKey {text}"),) if text else ()
            calls[kind] = _call(pb_grpc.QueryServiceStub(channel), metadata)
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for number in range(QUERIES + 100):
            for kind, call in calls.items():
                began = time.perf_counter()
                await call()
                if number >= 100:
                    times[kind].append(time.perf_counter() - began)
    without = statistics.median(times["none"])
    for kind, found in times.items():
        median = statistics.median(found)
        print(f"SELECT 1, {kind:<24} p50 {median * 1e3:.3f} ms ({(median - without) * 1e3:+.3f} ms)")


def _call(stub: pb_grpc.QueryServiceStub, metadata: Any) -> Callable[[], Any]:
    request = pb.SubmitRequest(sql="SELECT 1", wait_timeout=WAIT)
    return lambda: stub.Submit(request, metadata=metadata)


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("few", "many"):
            (folder / each).mkdir(mode=0o700)
        few = await fill(folder / "few" / "queries.db", 1)
        many = await fill(folder / "many" / "queries.db", MANY)
        await measure_authenticator(folder / "few" / "queries.db", few, 1)
        await measure_authenticator(folder / "many" / "queries.db", many, MANY)
        await measure_services(folder, few, many)


if __name__ == "__main__":
    asyncio.run(main())
