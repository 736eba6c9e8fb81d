"""A reload takes over all or nothing, names what is wrong, and knows what it has read."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from queryengine.app.reload import Prepared, Reloading, SettingsInForce, version_of
from queryengine.domain.reloads import Trigger
from queryengine.settings import Settings, SettingsError, Source
from queryengine.telemetry.metrics import Metrics
from tests.support import until
from tests.unit.core_values import NOW_US, SECOND, HandClock

pytestmark = pytest.mark.asyncio


async def _at_once() -> None:
    """Nothing holds a part up."""


@dataclass
class Part:
    """A part that takes over the level of the log and the text of one file."""

    file: Path
    level: str = "info"
    text: str = ""
    preparing: Callable[[], Awaitable[None]] = _at_once
    committing: Callable[[], None] = lambda: None
    commits: list[str] = field(default_factory=list)

    def files(self, settings: Settings) -> Iterable[Path]:
        return [self.file]

    async def prepare(self, settings: Settings) -> Prepared:
        await self.preparing()
        text = self.file.read_text() if self.file.exists() else ""
        if "bad" in text:
            raise SettingsError(f"{self.file.name}:1: is bad\n{self.file.name}:2: is worse")

        def commit() -> None:
            self.committing()
            self.level, self.text = settings.log.level, text
            self.commits.append(text)

        return Prepared(commit=commit, changed=(self.file.name,) if text != self.text else ())


def replace(file: Path, text: str) -> None:
    """In one step, so that nobody reads a part of it."""
    beside = file.with_name("beside")
    beside.write_text(text)
    beside.rename(file)


class Setup:
    """Reloading of two parts by a settings file."""

    def __init__(self, folder: Path, disk: ThreadPoolExecutor, watch_seconds: float = 0) -> None:
        self.settings_file = folder / "s.yaml"
        self.watch_seconds = watch_seconds
        self.clock = HandClock()
        self.metrics = Metrics([], "1")
        self.one, self.other = Part(folder / "one"), Part(folder / "other")
        self.write("log: {level: info}")
        source = Source(self.settings_file)
        self.in_force = SettingsInForce(source.load())
        self.reloading = Reloading(
            self.in_force, source, [self.one, self.other], clock=self.clock, metrics=self.metrics, disk=disk
        )

    def write(self, text: str) -> None:
        replace(self.settings_file, f"server: {{watch_seconds: {self.watch_seconds}}}\n{text}\n")

    def counted(self, outcome: str) -> float | None:
        return self.metrics.registry.get_sample_value("queryengine_reloads_total", {"outcome": outcome})


@pytest.fixture
def disk() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


@pytest.fixture
def given(tmp_path: Path, disk: ThreadPoolExecutor) -> Setup:
    return Setup(tmp_path, disk)


async def test_every_part_takes_over_what_is_new(given: Setup) -> None:
    before = given.reloading.status
    assert (before.last.trigger, before.since_us, before.last.mistakes) == (Trigger.START, NOW_US, ())
    given.write("log: {level: debug}\nlimits: {request_bytes: 4096}")
    given.one.file.write_text("new")
    given.clock.pass_seconds(1)
    status = await given.reloading.reload(Trigger.CALL)
    assert status is given.reloading.status
    assert status.last.is_applied
    assert (status.last.changed, status.needs_restart) == (("log.level", "one"), ("limits.request_bytes",))
    assert (status.last.trigger, status.last.end_us, status.since_us) == (
        Trigger.CALL,
        NOW_US + SECOND,
        NOW_US + SECOND,
    )
    assert (given.one.level, given.one.text, given.other.level) == ("debug", "new", "debug")
    # What needs a restart is as before for the parts, too.
    assert given.in_force.now.limits.request_bytes == 1 << 20
    assert status.version == version_of(given.in_force.now) != before.version
    assert (given.counted("applied"), given.counted("refused")) == (1, 0)


@pytest.mark.parametrize("bad", ["one", "other", "s.yaml", "both"])
async def test_a_mistake_in_one_part_changes_none(given: Setup, bad: str, caplog: pytest.LogCaptureFixture) -> None:
    given.write("log: {level: debug}" if bad != "s.yaml" else "log: {level: loud}\nlimits: {parameters: -1}")
    given.one.file.write_text("bad" if bad in ("one", "both") else "good")
    given.other.file.write_text("bad" if bad in ("other", "both") else "good")
    before, settings = given.reloading.status, given.in_force.now
    given.clock.pass_seconds(1)
    status = await given.reloading.reload(Trigger.SIGNAL)
    assert (given.one.commits, given.other.commits) == ([], [])
    assert given.in_force.now is settings
    assert (status.version, status.since_us, status.last.end_us) == (before.version, NOW_US, NOW_US + SECOND)
    expected = {
        "one": ["one:1: is bad", "one:2: is worse"],
        "other": ["other:1: is bad", "other:2: is worse"],
        "both": ["one:1: is bad", "one:2: is worse", "other:1: is bad", "other:2: is worse"],
        "s.yaml": [
            f"{given.settings_file}:3: limits.parameters: expected at least 0, not -1",
            f"{given.settings_file}:2: log.level: expected 'debug', 'info', 'warning' or 'error', not 'loud'",
        ],
    }[bad]
    assert list(status.last.mistakes) == expected
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR] == [
        f"the settings stay as they are: {line}" for line in expected
    ]
    assert (given.counted("applied"), given.counted("refused")) == (0, 1)
    # Put right, it is taken over.
    given.write("log: {level: debug}")
    given.one.file.write_text("good")
    given.other.file.write_text("good")
    assert (await given.reloading.reload(Trigger.SIGNAL)).last.is_applied
    assert (given.one.commits, given.other.commits) == (["good"], ["good"])


async def test_a_defect_of_a_part_refuses_and_ends_nothing(given: Setup, caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    given.one.preparing = fail
    status = await given.reloading.reload(Trigger.SIGNAL)
    assert status.last.mistakes == ("internal error of Part; the log of the server has more",)
    assert "ZeroDivisionError" in caplog.text
    assert given.other.commits == []
    given.one.preparing = _at_once
    given.one.committing = lambda: 1 / 0  # type: ignore[assignment]
    assert (await given.reloading.reload(Trigger.SIGNAL)).last.is_applied
    assert given.other.commits == [""]


async def test_a_defect_of_loading_refuses_and_ends_nothing(given: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Source, "load", lambda _: 1 / 0)
        status = await given.reloading.reload(Trigger.SIGNAL)
        assert status.last.mistakes == ("internal error; the log of the server has more",)
    assert (await given.reloading.reload(Trigger.SIGNAL)).last.is_applied


async def test_attempts_do_not_overlap(given: Setup) -> None:
    gate, inside = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        inside.set()
        await gate.wait()

    given.one.preparing = wait
    given.write("log: {level: debug}")
    first = asyncio.create_task(given.reloading.reload(Trigger.SIGNAL))
    await inside.wait()
    given.write("log: {level: error}")
    second = asyncio.create_task(given.reloading.reload(Trigger.CALL))
    gate.set()
    assert (await first).last.changed == ("log.level",)
    assert (await second).last.changed == ("log.level",)
    assert given.one.level == given.in_force.now.log.level == "error"


async def test_without_a_source_there_is_nothing_to_load(disk: ThreadPoolExecutor) -> None:
    reloading = Reloading(SettingsInForce(Settings()), None, [], clock=HandClock(), metrics=Metrics([], "1"), disk=disk)
    status = await reloading.reload(Trigger.CALL)
    assert status.last.mistakes == ("this server was started without settings that could be loaded again",)


async def test_a_changed_file_is_loaded_and_a_bad_one_once(tmp_path: Path, disk: ThreadPoolExecutor) -> None:
    given = Setup(tmp_path, disk, watch_seconds=0.01)
    running = asyncio.create_task(given.reloading.run())
    try:
        given.write("log: {level: debug}")
        await until(lambda: given.reloading.status.last.trigger is Trigger.FILE)
        assert given.one.level == "debug"
        replace(given.other.file, "new")
        await until(lambda: given.other.text == "new")
        replace(given.one.file, "bad")
        await until(lambda: given.reloading.status.last.mistakes)
        refused = given.counted("refused")
        replace(given.one.file, "good")
        await until(lambda: given.one.text == "good")
        assert refused == given.counted("refused") == 1
        # Asked for, although nothing has changed.
        commits = len(given.one.commits)
        given.reloading.ask(Trigger.SIGNAL)
        await until(lambda: given.reloading.status.last.trigger is Trigger.SIGNAL)
        assert len(given.one.commits) == commits + 1
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_secret_that_changes_is_a_change(
    tmp_path: Path, disk: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Setup(tmp_path, disk)
    url = tmp_path / "url"
    url.write_text("postgresql://u:canary-1@h/d\n")
    given.write(f"state: {{database: 'file:{url}'}}")
    assert (await given.reloading.reload(Trigger.SIGNAL)).needs_restart == ("state.database",)
    version = given.reloading.status.version
    url.write_text("postgresql://u:canary-2@h/d\n")
    assert (await given.reloading.reload(Trigger.SIGNAL)).version == version
    monkeypatch.setenv("QUERYENGINE_LOG__LEVEL", "debug")
    assert (await given.reloading.reload(Trigger.SIGNAL)).version != version
