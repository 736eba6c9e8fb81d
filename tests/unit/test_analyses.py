"""Analyses of texts: which lane a text takes, who waits for whom, what is remembered, and whose fault a failure is."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest

from queryengine.domain.errors import Code, QueryEngineError, Reason
from queryengine.policy import analyses
from queryengine.policy.analyses import Analyses
from queryengine.telemetry.logs import LogStyle
from queryengine.workers.forking import StartTemplate, Template
from queryengine.workers.sandboxes import Sandboxes
from tests.support import until
from tests.templates import copy_template, spawn_template, template

ENGINES = {
    "lite": {"type": "sqlalchemy", "options": {"url": "sqlite:////data/x.db"}},
    # A database of the generic dialect: its texts are parsed by sqlglot, which takes its time.
    "parsed": {"type": "sqlalchemy", "options": {"url": "trino://user@127.0.0.1:1/catalog"}},
    "wrong": {"type": "sqlalchemy", "options": {"url": "no url"}},
}
MOMENT = 0.002
"""Processor time, a thirtieth of what the quicker of these texts takes: the kernel counts it in ticks of some
milliseconds, and misses ticks of a process that others interrupt.
"""
SHORT = f"SELECT {','.join(['f(a)'] * 1_500)}"
LONG = f"SELECT 1 WHERE 1 IN ({','.join(map(str, range(20_000)))})"


class Lanes:
    """Analyses and the processes behind them."""

    def __init__(self, sandboxes: Sandboxes, template: Template, cpu_seconds: float) -> None:
        self.template = template
        self.sandboxes = sandboxes
        self.analyses = Analyses(
            quick=sandboxes.quick_checks,
            sliced=sandboxes.sliced_checks,
            thorough=sandboxes.thorough_checks,
            inspections=sandboxes.inspections,
            cpu_seconds=cpu_seconds,
        )

    async def check(self, sql: str, *, tenant: str = "a", engine: str = "parsed") -> None:
        analysis = await self.analyses.of(tenant, engine, sql, size_bytes=len(sql))
        if analysis.refusal is not None:
            raise QueryEngineError(analysis.refusal)

    async def refusal(self, sql: str, *, tenant: str = "a") -> QueryEngineError:
        with pytest.raises(QueryEngineError) as refusal:
            await self.check(sql, tenant=tenant)
        return refusal.value

    def quick(self) -> psutil.Process:
        (pid,) = self.sandboxes.quick_checks.pids
        return psutil.Process(pid)


def inspected(name: str) -> dict[str, Any]:
    return {"engine_type": ENGINES[name]["type"], "options": ENGINES[name]["options"]}


@asynccontextmanager
async def lanes(
    *, cpu_seconds: float = 60.0, check_workers: int = 2, start: StartTemplate = copy_template
) -> AsyncIterator[Lanes]:
    async with template(start) as forks:
        sandboxes = Sandboxes(
            ENGINES,
            LogStyle(),
            forks,
            spool="",
            cuts="",
            check_workers=check_workers,
            cut_workers=1,
            tenant_waiting=100,
            tenant_waiting_bytes=1 << 20,
        )
        try:
            await sandboxes.quick_checks.start()
            yield Lanes(sandboxes, forks, cpu_seconds)
        finally:
            await sandboxes.close()


async def test_a_short_text_needs_the_quick_lane_only() -> None:
    async with lanes() as found:
        await found.check("SELECT 1")
        assert not found.sandboxes.thorough_checks.pids


async def test_a_long_text_is_never_in_the_quick_lane() -> None:
    async with lanes() as found:
        found.quick().suspend()
        await found.check(LONG)
        found.quick().resume()


async def test_a_short_text_that_takes_long_gets_its_whole_time_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyses, "SLICE_SECONDS", MOMENT)
    async with lanes() as found:
        assert len(SHORT) < analyses.SHORT_CHARACTERS_MAX
        await found.check(SHORT)
        assert found.sandboxes.thorough_checks.pids


@pytest.mark.parametrize("sql", [SHORT, LONG], ids=["short", "long"])
async def test_a_text_that_takes_longer_than_it_may_is_too_complex(sql: str) -> None:
    async with lanes(cpu_seconds=MOMENT) as found:
        failure = (await found.refusal(sql)).failure
        assert (failure.reason, failure.metadata) == (Reason.STATEMENT_TOO_COMPLEX, {"timeout_ms": "2"})
        assert not failure.retryable


async def test_who_sent_what_takes_long_waits_behind_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async with lanes() as found:
        with monkeypatch.context() as patch:
            patch.setattr(analyses, "SLICE_SECONDS", MOMENT)
            await found.check(SHORT, tenant="slow")
        ended: list[str] = []
        found.quick().suspend()
        holding = asyncio.create_task(found.check("SELECT 5", tenant="a"))
        await asyncio.sleep(0)
        tasks = []
        for name in ("slow", "slow", "b", "c", "b"):
            task = asyncio.create_task(found.check(f"SELECT {len(tasks)} AS n", tenant=name))
            task.add_done_callback(lambda _, name=name: ended.append(name))
            tasks.append(task)
        await until(lambda: found.sandboxes.quick_checks.waiting == 5)
        found.quick().resume()
        await asyncio.gather(holding, *tasks)
        assert ended == ["b", "c", "b", "slow", "slow"]
        # It is not remembered for ever.
        found.analyses._slow_tenants["slow"] = 0.0
        assert not found.analyses._waits_for_others("slow")


async def test_who_sent_what_takes_long_leaves_the_quick_lane_where_there_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with lanes(check_workers=3) as found:
        with monkeypatch.context() as patch:
            patch.setattr(analyses, "SLICE_SECONDS", MOMENT)
            await found.check(SHORT, tenant="slow")
        assert found.sandboxes.thorough_checks.pids
        found.quick().suspend()
        try:
            await found.check("SELECT 1", tenant="slow")
        finally:
            found.quick().resume()


@pytest.mark.parametrize(
    ("engine", "sql", "waits"),
    [("lite", LONG, False), ("lite", f"{LONG} AND '", True), ("lite", "SELECT 1 AND '", False)],
)
async def test_a_long_text_that_is_refused_has_its_tenant_wait(engine: str, sql: str, waits: bool) -> None:
    async with lanes(check_workers=3) as found:
        analysis = await found.analyses.of("a", engine, sql, size_bytes=1)
        assert (analysis.refusal is not None) == sql.endswith("'")
        assert found.analyses._waits_for_others("a") is waits


async def test_long_texts_of_those_who_sent_bombs_do_not_add_up_for_another() -> None:
    async with lanes(check_workers=3) as found:
        bombers = [f"bomber-{number}" for number in range(20)]
        for bomber in bombers:
            await found.analyses.of(bomber, "lite", f"SELECT '{'x' * 10_000}", size_bytes=1)
        sliced = found.sandboxes.sliced_checks
        assert sliced is not None
        ended: list[str] = []
        (pid,) = sliced.pids
        process = psutil.Process(pid)
        process.suspend()
        tasks = []
        for name in (*bombers, *bombers, "other"):
            task = asyncio.create_task(found.check(f"SELECT {len(tasks)}, '{'x' * 9_000}'", tenant=name, engine="lite"))
            task.add_done_callback(lambda _, name=name: ended.append(name))
            tasks.append(task)
        await until(lambda: sliced.waiting == 40)
        process.resume()
        await asyncio.gather(*tasks)
        # One was in the process already; the bombers take turns behind the other.
        assert ended.index("other") == 1
        assert set(ended[:1] + ended[2:21]) == set(bombers)


async def test_a_text_that_passed_is_not_checked_again_for_anybody() -> None:
    async with lanes() as found:
        await found.check("SELECT 6", tenant="a")
        assert found.analyses.remembered("parsed", "SELECT 6")
        assert not found.analyses.remembered("wrong", "SELECT 6")
        await found.check(LONG)
        assert not found.analyses.remembered("parsed", LONG)


@pytest.mark.parametrize("executable", ["/bin/false", "/no/such/program"])
async def test_when_no_process_starts_the_text_may_be_sent_again(
    executable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lanes(start=spawn_template) as found:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", executable)
            await found.sandboxes.close()
            await found.template.close()
            failure = (await found.refusal("SELECT 7")).failure
        assert (failure.reason, failure.code) == (Reason.SANDBOX_UNAVAILABLE, Code.UNAVAILABLE)
        assert failure.retryable
        assert failure.retry_after_seconds
        await found.check("SELECT 7")


async def test_traits_name_a_wrong_option_and_a_process_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async with lanes(start=spawn_template) as found:
        assert (await found.analyses.traits("lite", **inspected("lite"))).sandbox
        with pytest.raises(QueryEngineError) as refusal:
            await found.analyses.traits("wrong", **inspected("wrong"))
        assert refusal.value.failure.reason is Reason.INVALID_FIELD
        monkeypatch.setattr(sys, "executable", "/bin/false")
        await found.sandboxes.close()
        await found.template.close()
        with pytest.raises(QueryEngineError) as refusal:
            await found.analyses.traits("lite", **inspected("lite"))
        assert refusal.value.failure.reason is Reason.ENGINE_UNAVAILABLE
