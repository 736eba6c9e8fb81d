"""Loads the configuration of a running server again: every part takes over what is new, or none does.

A part first prepares (reads its files, checks, builds what it will use) and is put in force only when every part could.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from queryengine.app.file_changes import Changes, Look, look_at
from queryengine.domain.clock import Clock
from queryengine.domain.reloads import Attempt, ReloadStatus, Trigger
from queryengine.settings import Reload, Settings, SettingsError, Source, reloaded
from queryengine.telemetry.metrics import Metrics

VERSION_CHARACTERS: Final = 16

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What one part will use, complete and checked. It is dropped when another part refuses, so it holds nothing that
    must be closed.
    """

    commit: Callable[[], None]
    """Puts it in force. Runs on the event loop, between two calls; must neither fail nor wait."""
    changed: tuple[str, ...] = ()
    """What is new beyond the values of settings, such as the path of a certificate that was renewed."""


class Reloadable(Protocol):
    """A part of the server that takes over new settings, or files that they name, while it runs."""

    def files(self, settings: Settings) -> Iterable[Path]:
        """What `prepare` reads beside the settings and their secrets. A change of one has everything loaded again."""

    async def prepare(self, settings: Settings) -> Prepared:
        """What to use with these settings: the new ones, but keys that need a restart as they are. Changes nothing.

        Raises SettingsError, with a line for each mistake: its place (`settings.origin`), key and what was expected.
        """


@dataclass(slots=True)
class SettingsInForce:
    """The settings of the moment."""

    now: Settings


class Reloading:
    """Loads the configuration when it is asked to and when a file of it has changed; one attempt at a time."""

    def __init__(
        self,
        in_force: SettingsInForce,
        source: Source | None,
        parts: Sequence[Reloadable],
        *,
        clock: Clock,
        metrics: Metrics,
        disk: Executor,
    ) -> None:
        """Without a source, as in tests and the demo, there is nothing to load."""
        self._in_force = in_force
        self._source = source
        self._parts = parts
        self._clock = clock
        self._metrics = metrics
        self._disk = disk
        self._one_at_a_time = asyncio.Lock()
        self._asked: Trigger | None = None
        self._wake = asyncio.Event()
        self._changes = Changes(look_at(self._files(in_force.now)))
        now = clock.now_us()
        self.status = ReloadStatus(
            version=version_of(in_force.now),
            since_us=now,
            needs_restart=(),
            last=Attempt(trigger=Trigger.START, end_us=now),
        )

    def ask(self, trigger: Trigger) -> None:
        """Have `run` load soon; asking often before it does has the effect of asking once."""
        self._asked = trigger
        self._wake.set()

    async def run(self) -> None:
        """Load when asked and when files have changed, until cancelled."""
        while True:
            seconds = self._in_force.now.server.watch_seconds if self._source is not None else 0
            try:
                async with asyncio.timeout(seconds or None):
                    await self._wake.wait()
            except TimeoutError:
                if self._changes.settled(await self._look(self._in_force.now)):
                    await self.reload(Trigger.FILE)
                continue
            trigger, self._asked = self._asked or Trigger.SIGNAL, None
            self._wake.clear()
            await self.reload(trigger)

    async def reload(self, trigger: Trigger) -> ReloadStatus:
        """Load now; returns when that is done, whether applied or refused, and says so in the log. Never raises for
        what is in the files.
        """
        async with self._one_at_a_time:
            if self._source is None:
                return self._refused(trigger, ["this server was started without settings that could be loaded again"])
            # Before they are read: what changes from here on is a change.
            before = await self._look(self._in_force.now)
            self._changes.were_read(before)
            try:
                loaded = await asyncio.get_running_loop().run_in_executor(self._disk, self._source.load)
            except SettingsError as cause:
                return self._refused(trigger, str(cause).splitlines())
            except Exception:
                # A defect must not end the loop, or nothing would be loaded any more.
                logger.exception("the settings could not be loaded")
                return self._refused(trigger, ["internal error; the log of the server has more"])
            done = reloaded(self._in_force.now, loaded)
            prepared, mistakes = await self._prepare(done.settings)
            if mistakes:
                return self._refused(trigger, mistakes)
            _commit(prepared)
            self._in_force.now = done.settings
            now = await self._look(self._in_force.now)
            self._changes.were_read({path: before.get(path, found) for path, found in now.items()})
            return self._applied(trigger, done, prepared)

    async def _prepare(self, settings: Settings) -> tuple[list[Prepared], list[str]]:
        prepared: list[Prepared] = []
        mistakes: list[str] = []
        for part in self._parts:
            try:
                prepared.append(await part.prepare(settings))
            except SettingsError as cause:
                mistakes += str(cause).splitlines()
            except Exception:
                # A defect of one part must not end the loop that all of them need.
                logger.exception("a part could not be prepared for the new settings")
                mistakes.append(f"internal error of {type(part).__name__}; the log of the server has more")
        return prepared, mistakes

    def _applied(self, trigger: Trigger, done: Reload, prepared: Sequence[Prepared]) -> ReloadStatus:
        changed = (*done.applied, *(name for each in prepared for name in each.changed))
        now = self._clock.now_us()
        self.status = ReloadStatus(
            version=version_of(self._in_force.now),
            since_us=now,
            needs_restart=done.needs_restart,
            last=Attempt(trigger=trigger, end_us=now, changed=changed),
        )
        self._metrics.reloaded("applied")
        logger.info("settings read again; changed: %s", ", ".join(changed) or "nothing")
        if done.needs_restart:
            logger.warning("settings that need a restart to change: %s", ", ".join(done.needs_restart))
        return self.status

    def _refused(self, trigger: Trigger, mistakes: Sequence[str]) -> ReloadStatus:
        before = self.status
        self.status = ReloadStatus(
            version=before.version,
            since_us=before.since_us,
            needs_restart=before.needs_restart,
            last=Attempt(trigger=trigger, end_us=self._clock.now_us(), mistakes=tuple(mistakes)),
        )
        self._metrics.reloaded("refused")
        for line in mistakes:
            logger.error("the settings stay as they are: %s", line)
        return self.status

    def _files(self, settings: Settings) -> list[Path]:
        found = [] if self._source is None else [*self._source.files(settings)]
        return [*found, *(file for part in self._parts for file in part.files(settings))]

    async def _look(self, settings: Settings) -> Look:
        """In a thread, as a file system may be slow."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, look_at, self._files(settings))


def _commit(prepared: Sequence[Prepared]) -> None:
    for each in prepared:
        try:
            each.commit()
        except Exception:
            # A defect: the others must not be left with the old configuration by it.
            logger.exception("a part could not take over the new settings")


def version_of(settings: Settings) -> str:
    """Hash of the settings but for secrets and options of engines, which are no part of a dump."""
    dump = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(dump.encode()).hexdigest()[:VERSION_CHARACTERS]
