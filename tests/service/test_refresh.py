"""RefreshEngine: all workers of an engine look at its folder, whoever asks and however often."""

import asyncio
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from queryengine.accepting import refreshing
from queryengine.app.service import Service
from queryengine.client import AsyncClient, EngineRefresh, ViewChange, ViewChangeKind
from queryengine.v1 import query_service_pb2 as pb
from tests.support import COMPLETED, RUNNING, WAIT, Api, refused, served, serving, suspended, until

ENDLESS = "SELECT count(*) FROM range(1000000000000) a, t"


def engines(folder: Path, **more: Any) -> dict[str, Any]:
    options = {"directory": str(folder), "threads": 1}
    return {"lake": {"type": "duckdb", "workers": 2, "options": options, **more}, "scripted": {"type": "scripted"}}


async def ready(service: Service) -> None:
    await until(lambda: all(supervisor.is_up for supervisor in service.pool._supervisors["lake"]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "t.csv").write_text("v\n1\n")
    return tmp_path / "lake"


async def test_all_workers_look_and_say_what_changed(tmp_path: Path, folder: Path) -> None:
    async with (
        serving(tmp_path / "state", engines=engines(folder), default_engine="lake") as service,
        AsyncClient(service.address) as client,
    ):
        await ready(service)
        (folder / "new.csv").write_text("v\n2\n")
        (folder / "bad.csv").write_bytes(b"")
        found = await client.refresh_engine()
        assert found == EngineRefresh(
            engine="lake",
            views=2,
            workers=2,
            workers_waiting=0,
            changes=(
                ViewChange("bad", ViewChangeKind.UNREADABLE, "bad.csv is empty (0 bytes)"),
                ViewChange("new", ViewChangeKind.ADDED),
            ),
            changes_left_out=0,
        )
        (folder / "bad.csv").unlink()
        assert (await client.refresh_engine("lake")).changes == (ViewChange("bad", ViewChangeKind.REMOVED),)


async def test_queries_that_run_are_not_disturbed(tmp_path: Path, folder: Path) -> None:
    async with served(tmp_path / "state", engines=engines(folder)) as (service, api):
        running = [(await api.submit(ENDLESS, engine="lake")).status.query_id for _ in range(2)]
        await until(lambda: service.pool.load("lake").running == 2)
        (folder / "new.csv").write_text("v\n2\n")
        other = Api(api.channel, "other")
        reply = await other.refresh("lake")
        assert (reply.workers, reply.workers_waiting) == (2, 0)
        assert [(each.view, each.kind) for each in reply.changes] == [("new", pb.VIEW_CHANGE_KIND_ADDED)]
        for query_id in running:
            status = await api.status(query_id)
            assert (status.state, status.attempt) == (RUNNING, 1)
            await api.cancel(query_id)
        assert (await other.submit("FROM new", engine="lake", wait_timeout=WAIT)).status.state == COMPLETED


async def test_a_replaced_folder_is_read_by_workers_that_start_again(tmp_path: Path, folder: Path) -> None:
    async with served(tmp_path / "state", engines=engines(folder)) as (service, api):
        await ready(service)
        former = service.pool.load("lake").worker_pids
        next_folder = tmp_path / "next"
        next_folder.mkdir()
        (next_folder / "u.csv").write_text("v\n2\n")
        os.rename(folder, tmp_path / "former")  # noqa: PTH104 - of pathlib the linter thinks that it blocks
        os.rename(next_folder, folder)  # noqa: PTH104 - as above
        if service.pool._configs["lake"].is_confined:
            refusal = await refused(api.refresh("lake"))
            assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "ENGINE_UNAVAILABLE")
            assert "starts again" in refusal.message
            await until(lambda: set(service.pool.load("lake").worker_pids).isdisjoint(former))
        reply = await api.submit("FROM u", engine="lake", wait_timeout=WAIT)
        assert reply.status.state == COMPLETED


async def test_those_who_ask_at_once_share_looks(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "PAUSE_SECONDS", 0.0)
    async with served(tmp_path / "state", engines=engines(folder)) as (service, api):
        await ready(service)
        looks = []
        real = service.pool.refresh
        service.pool.refresh = lambda engine: looks.append(engine) or real(engine)  # type: ignore[method-assign]
        with suspended(list(service.pool.load("lake").worker_pids)):
            first = [asyncio.ensure_future(api.refresh("lake"))]
            await until(lambda: looks)
            # These come while a look is under way: it may have passed what they wrote.
            (folder / "new.csv").write_text("v\n2\n")
            late = [asyncio.ensure_future(Api(api.channel, f"t{number}").refresh("lake")) for number in range(50)]
            await until(lambda: service.parts.edges.server and len(looks) == 1)
            left = late.pop()
            left.cancel()
        replies = await asyncio.gather(*first, *late)
        assert len(looks) == 2
        assert all([each.view for each in reply.changes] in ([], ["new"]) for reply in replies)
        assert any(reply.changes for reply in replies)


async def test_what_cannot_be_looked_at_is_refused_by_name(tmp_path: Path, folder: Path) -> None:
    async with served(tmp_path / "state", engines=engines(folder)) as (service, api):
        await until(lambda: service.pool.load("scripted").available)
        refusal = await refused(api.refresh("scripted"))
        assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "UNSUPPORTED")
        refusal = await refused(api.refresh("nobody"))
        assert refusal.reason == "UNKNOWN_ENGINE"
        shutil.rmtree(folder)
        refusal = await refused(api.refresh("lake"))
        assert refusal.reason == "ENGINE_UNAVAILABLE"


async def test_a_worker_that_dies_while_it_looks_keeps_nobody_waiting(tmp_path: Path, folder: Path) -> None:
    async with served(tmp_path / "state", engines=engines(folder, workers=1)) as (service, api):
        await ready(service)
        (pid,) = service.pool.load("lake").worker_pids
        os.kill(pid, signal.SIGSTOP)
        asked = asyncio.ensure_future(api.refresh("lake"))
        await until(lambda: service.pool._supervisors["lake"][0]._questions._waiting)
        os.kill(pid, signal.SIGKILL)
        refusal = await refused(asked)
        assert (refusal.reason, refusal.code.name) == ("ENGINE_UNAVAILABLE", "UNAVAILABLE")
