"""The process that workers are forked from: it has one thread, takes its workers along, and is replaced."""

import signal
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from queryengine.app.configured import worker_template
from queryengine.settings import Settings
from queryengine.telemetry.logs import LogStyle
from queryengine.workers import forking
from queryengine.workers.forking import Template, TemplateProcess
from queryengine.workers.process import WorkerProcess
from tests.support import COMPLETED, WAIT, served, until
from tests.templates import copy_template, forked, original, spawn_template, template

ROLE: dict[str, Any] = {"type": "sandbox", "engines": {}, "memory_limit_mib": 4096}
LOG = LogStyle("info", as_json=False)


async def started(forks: Template) -> WorkerProcess:
    worker = await WorkerProcess.start(ROLE, LOG, forks)
    ready = await worker.receive()
    assert ready is not None
    assert ready.type == "ready"
    return worker


def starts_a_thread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every Python that is started from now on start a thread with itself."""
    (folder / "sitecustomize.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")


def open_sockets(pid: int) -> int:
    return sum(str(path.readlink()).startswith("socket:") for path in Path(f"/proc/{pid}/fd").iterdir())


async def test_what_workers_need_starts_no_thread_as_it_is_imported() -> None:
    async with template() as forks:
        await (await started(forks)).close()
        assert psutil.Process(original().pid).num_threads() == 1


async def test_workers_end_with_their_template_and_the_next_one_has_another(caplog: pytest.LogCaptureFixture) -> None:
    async with template(spawn_template) as forks:
        workers = [await started(forks) for _ in range(3)]
        parent = psutil.Process(workers[0].pid).parent()
        assert parent is not None
        parent.kill()
        assert [await worker.wait() for worker in workers] == [-signal.SIGKILL] * 3
        after = await started(forks)
        assert psutil.Process(after.pid).ppid() != parent.pid
        assert "another one is started" in caplog.text
        await after.close()


@pytest.mark.parametrize(
    ("engine", "preloaded"),
    [
        ({"type": "duckdb"}, ["duckdb"]),
        ({"type": "sqlalchemy", "options": {"url": "sqlite:////data/x.db"}}, ["sqlalchemy"]),
        ({"type": "sqlalchemy", "options": {"url": "postgresql://h/d"}}, []),
        ({"type": "trino", "options": {"url": "http://h"}}, []),
        # Its worker says what is wrong.
        ({"type": "duckdb", "options": {"path": "~no_such_user/x.db"}}, []),
    ],
)
async def test_adapters_of_engines_that_compute_in_a_worker_are_imported_before(
    monkeypatch: pytest.MonkeyPatch, engine: dict[str, Any], preloaded: list[str]
) -> None:
    asked: list[list[str]] = []

    async def note(control: socket.socket, engine_types: list[str]) -> TemplateProcess:
        asked.append(engine_types)
        return await copy_template(control)

    monkeypatch.setattr(forking, "spawn_template", note)
    forks = worker_template(Settings(engines={"e": engine}, default_engine="e"))
    await (await started(forks)).close()
    await forks.close()
    assert asked == [preloaded]


async def test_nothing_of_a_worker_that_ended_is_left() -> None:
    async with template() as forks:
        worker = await started(forks)
        assert await worker.close() == -signal.SIGKILL
        assert not psutil.pid_exists(worker.pid)
        worker.kill()
        assert await worker.close() == -signal.SIGKILL


async def test_a_worker_is_spawned_where_an_import_has_started_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    starts_a_thread(tmp_path, monkeypatch)
    async with template(spawn_template) as forks:
        workers = [await started(forks) for _ in range(2)]
        assert all("queryengine.workers.main" in psutil.Process(worker.pid).cmdline() for worker in workers)
        assert caplog.text.count("workers are spawned") == 1
        for worker in workers:
            assert await worker.close() == -signal.SIGKILL


@pytest.mark.asyncio(loop_scope="session")
async def test_two_workers_do_not_draw_the_same_numbers(tmp_path: Path) -> None:
    async with served(tmp_path, engines={"duckdb": {"type": "duckdb", "workers": 1}}) as (service, api):
        drawn = []
        for _ in range(2):
            query = (await api.submit("SELECT random()::VARCHAR, uuid()::VARCHAR", wait_timeout=WAIT)).status
            assert query.state == COMPLETED
            drawn.append((await api.read(query.query_id)).table().to_pylist()[0].values())
            (pid,) = service.pool.load("duckdb").worker_pids
            psutil.Process(pid).kill()
            await until(lambda pid=pid: service.pool.load("duckdb").worker_pids not in ((), (pid,)))
        assert not {*drawn[0]} & {*drawn[1]}


async def test_a_template_that_does_not_answer_costs_no_other_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    before = forked()
    async with template() as forks:
        first = await started(forks)
        parent = psutil.Process(first.pid).parent()
        assert parent is not None
        monkeypatch.setattr(forking, "ANSWER_SECONDS", 0.05)
        parent.suspend()
        with pytest.raises(OSError, match="no answer within"):
            await started(forks)
        assert not first.is_gone
        monkeypatch.undo()
        parent.resume()
        second = await started(forks)
        # The one that nobody waited for any longer.
        await until(lambda: forked() - before == {first.pid, second.pid})
        for worker in (first, second):
            await worker.close()


async def test_a_worker_that_is_spawned_has_nothing_open_but_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts_a_thread(tmp_path, monkeypatch)
    async with template(spawn_template) as forks:
        worker = await started(forks)
        assert open_sockets(worker.pid) == 1
        await worker.close()
