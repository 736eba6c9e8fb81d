"""A start that fails half-way closes what it had opened; a stop may come twice, or without a start."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from queryengine.app import listening, wiring
from queryengine.app.service import Service
from queryengine.executing.recovery import Recovery
from queryengine.reading.cutting import Cutting
from queryengine.settings import Settings
from queryengine.store import Store
from queryengine.workers.pool import WorkerPool
from queryengine.workers.sandboxes import Sandboxes
from tests.support import LOOPBACK

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Broken(Exception):  # noqa: N818 - What no code of ours expects.
    """Raised where a test says so."""


def breaks(*_: Any, **__: Any) -> Any:
    raise Broken


async def breaks_late(*_: Any, **__: Any) -> Any:
    await asyncio.sleep(0)
    raise Broken


async def is_cancelled(*_: Any, **__: Any) -> Any:
    raise asyncio.CancelledError


def settings(folder: Path) -> Settings:
    engines = {"scripted": {"type": "scripted", "workers": 1}}
    return Settings(server=dict(LOOPBACK), engines=engines, state={"directory": folder})


@pytest.mark.parametrize(
    ("owner", "name", "fails"),
    [
        (Store, "execution_times", breaks_late),
        (Cutting, "__init__", breaks),
        (WorkerPool, "__init__", breaks),
        (Sandboxes, "start", breaks_late),
        (wiring, "engine_traits", breaks_late),
        (wiring, "engine_traits", is_cancelled),
        (WorkerPool, "start", breaks),
        (Recovery, "recover", breaks_late),
        (wiring, "behaviours", breaks),
        (listening, "make_server", breaks),
        (listening, "bind", breaks),
        (wiring, "listen", breaks_late),
        (wiring, "trimming", breaks),
    ],
)
async def test_a_start_that_fails_half_way_closes_what_it_had_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, fails: Callable[..., Any]
) -> None:
    """That nothing is left of it, not a process, a thread, a task or an open file, is looked at after every test."""
    service = Service(settings(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fails)
        with pytest.raises((Broken, asyncio.CancelledError)):
            await service.start()
    with pytest.raises(RuntimeError, match="has not started"):
        _ = service.parts
    await service.stop()


async def test_the_state_is_free_again_after_a_start_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(wiring, "listen", breaks_late)
        with pytest.raises(Broken):
            await Service(settings(tmp_path)).start()
    service = Service(settings(tmp_path))
    await service.start()
    await service.stop(0)


async def test_a_server_stops_once_however_often_it_is_asked_to(tmp_path: Path) -> None:
    service = Service(settings(tmp_path))
    await service.stop()
    await service.start()
    address = service.address
    await asyncio.gather(service.stop(0), service.stop(0))
    await service.stop(0)
    assert service.address == address


async def test_what_a_start_opened_is_closed_the_other_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    def noting(owner: type, name: str) -> None:
        close = getattr(owner, name)

        async def call(self: Any) -> None:
            closed.append(owner.__name__)
            await close(self)

        monkeypatch.setattr(owner, name, call)

    service = Service(settings(tmp_path))
    for owner in (Store, Sandboxes, WorkerPool):
        noting(owner, "close")
    await service.start()
    await service.stop(0)
    assert closed == ["WorkerPool", "Sandboxes", "Store"]
