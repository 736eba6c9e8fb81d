"""No test leaves anything behind: no task, thread, child process, open file or temporary file outlives it.

A service that several tests share may hold what it needs; what it holds is checked when it stops.
"""

import asyncio
import gc
import inspect
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import grpc
import hypothesis
import pytest
import pytest_asyncio
from xdist.remote import Producer

from queryengine.app.service import Service
from queryengine.workers import forking
from queryengine.workers.pool import EngineLoad
from tests.grouping import GroupScheduling, arrange
from tests.servers.server import port_locks, shared_processes, stop_all
from tests.slowest import SlowestFiles
from tests.support import COMPLETED, ENGINES, RUNNING, STEP_SECONDS, Api, Gate, new_id, serving, until
from tests.templates import copy_template, original, runs, spawn_template

# PySpark takes a main module without a file, which is what a process of pytest-xdist has, for a run of its doctests.
vars(sys.modules["__main__"]).setdefault("__file__", pytest.__file__)

PLUGINS = str(Path(__file__).parent / "plugins")
"""A package that brings the engine type `scripted`, as if it were installed: here, and in every process that a test
starts. No user has it.
"""
sys.path.insert(0, PLUGINS)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (PLUGINS, os.environ.get("PYTHONPATH"))))

PATIENCE_SECONDS = 20.0
LOOKS_BETWEEN_COLLECTIONS = 5

# Neither how long one example takes nor how long it takes to make one: both depend on what else the machine does.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

SHARED_THREADS = ("disk_", "queryengine-store", "asyncio-waitpid", "waitpid")
"""A shared service starts these as it needs them; Python named the last one so before 3.11.3."""

LIBRARY_THREADS = ("asyncio_", "grpc", "pytest_timeout")
"""The default executor of an event loop ends with it; gRPC and pytest-timeout keep theirs."""


def pytest_configure(config: pytest.Config) -> None:
    """A suite that runs in the background, or by nohup, has signals that are ignored, and the programs that its tests
    start would ignore them, too. One that is handled, if only by doing nothing, has its default again in a program.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    config.pluginmanager.register(SlowestFiles())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    arrange(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    return GroupScheduling(config, log)


def pytest_collection_finish() -> None:
    """What is there before the first test stays, so that collections, also those of the leak watch, pass it over."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """What is not collected at exit is taken for leaks by nanobind, which binds DuckDB: what is frozen,
    and what Hypothesis's callback leads to, which the interpreter holds until after its last collection.
    """
    gc.unfreeze()
    gc.callbacks.clear()


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that `tempfile` uses in this process and in those that it starts."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def engine_servers() -> Iterator[None]:
    """Servers that tests asked for live as long as the session."""
    yield
    stop_all()


@pytest.fixture(scope="session", autouse=True)
def copied_templates(temporary_folder: Path) -> Iterator[None]:
    """Servers in this process fork their workers from copies of one process that has done its imports."""
    original()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forking, "spawn_template", copy_template)
        yield
    original().close()


@pytest.fixture
def spawned_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates as a server has them, started from nothing."""
    monkeypatch.setattr(forking, "spawn_template", spawn_template)


@pytest.fixture(scope="session", autouse=True)
def grpc_kept() -> Iterator[None]:
    """What gRPC keeps for the process comes with its first channel and goes some time after the last; both would look
    like the doing of a test.
    """
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(30)
            yield
        server.stop(0).wait()


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    """A command that is run within this process sets its umask and ignores hang-ups; the next test sees neither."""
    mask = os.umask(0o022)
    os.umask(mask)
    hangup = signal.getsignal(signal.SIGHUP)
    yield
    os.umask(mask)
    signal.signal(signal.SIGHUP, hangup)


class Holdings:
    """What this process holds at a moment."""

    def __init__(self, shared: frozenset[str], temporary: Path) -> None:
        self._shared = shared
        self.threads = {
            thread
            for thread in threading.enumerate()
            if not thread.name.startswith(LIBRARY_THREADS)
            and "_poll_wrapper" not in thread.name
            and not (shared and thread.name.startswith(SHARED_THREADS))
        }
        kept = {*shared_processes(), original().pid}
        self.children = (children_of(os.getpid()) | children_of(original().pid)) - kept
        self.files, self.others = self._descriptors()
        self.files -= Counter(port_locks())
        self.temporary = {str(path) for path in temporary.iterdir()}

    def beyond(self, before: "Holdings") -> list[str]:
        """What is held now and was not before, in words."""
        found = [f"thread {thread.name}" for thread in self.threads - before.threads]
        found += [f"child process {pid}" for pid in self.children - before.children]
        found += [f"open file {name}" for name in (self.files - before.files)]
        found += [f"{count} more {kind}" for kind, count in (self.others - before.others).items()]
        found += [f"temporary file {name}" for name in self.temporary - before.temporary]
        return found

    def _descriptors(self) -> tuple[Counter[str], Counter[str]]:
        files: Counter[str] = Counter()
        others: Counter[str] = Counter()
        for link in Path("/proc/self/fd").iterdir():
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if target.startswith("/") and not target.startswith(("/dev/", "/proc/", *self._shared)):
                files[target] += 1
            elif not target.startswith("/"):
                others[target.partition(":")[0]] += 1
        return files, others


def children_of(pid: int) -> set[int]:
    """As the kernel lists them; a look at every process of the machine takes longer than most tests."""
    found = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        # A thread that has ended meanwhile has left its children to another one.
        with suppress(OSError):
            found |= {int(child) for child in path.read_text().split()}
    return found


@pytest.fixture(scope="session")
def shared_folders() -> set[str]:
    """State folders of services that outlive a test."""
    return set()


@pytest.fixture(scope="session")
def shared_services() -> list[Service]:
    """Services that outlive a test."""
    return []


@pytest.fixture(scope="session")
def shared_channels() -> list[grpc.aio.Channel]:
    """Connections that outlive a test."""
    return []


@pytest.fixture
def look(shared_folders: set[str], temporary_folder: Path) -> Callable[[], Holdings]:
    return lambda: Holdings(frozenset(shared_folders), temporary_folder)


def collect(looks: int) -> None:
    """Collect garbage before the next look for what was left behind: what is young, and now and then all, as that takes
    longer than most tests.
    """
    gc.collect(1 if looks % LOOKS_BETWEEN_COLLECTIONS else 2)


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest, look: Callable[[], Holdings]) -> Iterator[None]:
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        marker = request.node.get_closest_marker("asyncio")
        scope = marker.kwargs.get("loop_scope", "function") if marker else "function"
        request.getfixturevalue(f"nothing_left_on_{scope}_loop")
        yield
        return
    before = look()
    yield
    deadline = time.monotonic() + PATIENCE_SECONDS
    looks = 0
    while found := look().beyond(before):
        looks += 1
        collect(looks)
        assert time.monotonic() < deadline, f"left behind: {', '.join(found)}"
        time.sleep(STEP_SECONDS)


@pytest_asyncio.fixture
async def nothing_left_on_function_loop(look: Callable[[], Holdings]) -> AsyncIterator[None]:
    async for _ in _watched(look):
        yield


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def grpc_awake() -> AsyncIterator[None]:
    """What gRPC keeps for as long as anything of it is open would look like a leak of the first test."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.channel_ready()
        yield
    await server.stop(0)


@pytest_asyncio.fixture(loop_scope="session")
async def nothing_left_on_session_loop(
    look: Callable[[], Holdings],
    grpc_awake: None,
    shared_services: list[Service],
    shared_channels: list[grpc.aio.Channel],
) -> AsyncIterator[None]:
    for channel in shared_channels:
        # A connection that broke under the test before would look like a leak of this one when it is back.
        await channel.channel_ready()
    for service in shared_services:
        # A process that the test before made die would look like a leak of this one when it is back.
        await service.parts.sandboxes.start_all()
        loads = [partial(service.pool.load, name) for name in ENGINES]
        await until(lambda loads=loads: all(has_all_workers(load()) for load in loads), seconds=30)
    async for _ in _watched(look):
        yield


def has_all_workers(load: EngineLoad) -> bool:
    """Whether all run: one that has ended counts among the service's own until its end is reported."""
    return len(load.worker_pids) == load.slots and all(map(runs, load.worker_pids))


async def _watched(look: Callable[[], Holdings]) -> AsyncIterator[None]:
    tasks = asyncio.all_tasks()
    before = look()
    yield
    deadline = time.monotonic() + PATIENCE_SECONDS
    current = asyncio.current_task()
    looks = 0
    while found := [
        *look().beyond(before),
        *(
            str(task)
            for task in asyncio.all_tasks() - tasks
            if task is not current and "AioServer._request" not in str(task)
        ),
    ]:
        # An exception that a test kept holds its frames, and they hold connections; that is garbage and no leak.
        looks += 1
        collect(looks)
        assert time.monotonic() < deadline, f"left behind: {', '.join(found)}"
        await asyncio.sleep(STEP_SECONDS)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service(
    tmp_path_factory: pytest.TempPathFactory, shared_folders: set[str], shared_services: list[Service]
) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    # A tenant of a test may need all slots, whatever tenants the tests before it were.
    async with serving(folder, limits={"shared_seconds": 0}) as service:
        shared_folders.add(str(folder))
        shared_services.append(service)
        yield service
        shared_services.remove(service)
    shared_folders.discard(str(folder))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def channel(service: Service, shared_channels: list[grpc.aio.Channel]) -> AsyncIterator[grpc.aio.Channel]:
    options = (("grpc.max_receive_message_length", 4 << 20),)
    async with grpc.aio.insecure_channel(service.address, options) as channel:
        await channel.channel_ready()
        shared_channels.append(channel)
        yield channel
        shared_channels.remove(channel)


@pytest.fixture
def api(channel: grpc.aio.Channel) -> Api:
    return Api(channel, f"tenant-{new_id()}", user="tester")


@pytest.fixture
def other(channel: grpc.aio.Channel) -> Api:
    """Another tenant of the same service."""
    return Api(channel, f"tenant-{new_id()}")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path / "gate")
    yield gate
    # Also when the test failed, so that the next one finds free slots.
    gate.open()


@pytest_asyncio.fixture(loop_scope="session")
async def no_free_slot(
    service: Service, channel: grpc.aio.Channel, tmp_path: Path
) -> AsyncIterator[Callable[[], None]]:
    """All slots of the scripted engine are taken until the test is over, or calls what it gets."""
    gate = Gate(tmp_path / "slots")
    crowd = Api(channel, f"crowd-{new_id()}")
    held = [
        (await crowd.script(f"{gate.script}; rows 1")).status.query_id
        for _ in range(service.pool.load("scripted").slots)
    ]
    for query_id in held:
        await crowd.reached(query_id, RUNNING)
    yield gate.open
    gate.open()
    for query_id in held:
        await crowd.reached(query_id, COMPLETED)
