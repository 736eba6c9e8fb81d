"""What `serve` would refuse of a file of settings, and what it would warn of. Nothing is opened for it: no port,
database, engine or process.
"""

import asyncio
import difflib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from queryengine.app.certificates import certificates
from queryengine.app.exposure import Exposure
from queryengine.app.policies import checked_policies
from queryengine.domain.clock import Clock
from queryengine.domain.errors import QueryEngineError
from queryengine.domain.row_policy import RowPolicy
from queryengine.engines.base import JudgedPolicy, OptionError
from queryengine.engines.kit.reach import reach
from queryengine.engines.registry import engine_class
from queryengine.settings import Settings, SettingsError, missing_audit_folder, missing_places, warnings
from queryengine.workers.confinement import lacking


def check(settings: Settings, clock: Clock, *, insecure: bool = False) -> list[str]:
    """A line for each warning. Raises SettingsError with a line for each mistake; `insecure` as of `serve`."""
    found = _Found(settings)
    for part in (
        lambda: Exposure(is_accepted=insecure).check(settings),
        lambda: certificates(settings, clock),
        lambda: asyncio.run(checked_policies(settings, found.judged)),
    ):
        found.run(part)
    found.options()
    found.mistakes += [*missing_audit_folder(settings), *_unusable_places(settings)]
    if found.mistakes:
        raise SettingsError("\n".join(found.mistakes))
    return [*warnings(settings), *found.warnings, *_unknown_functions(settings)]


class _Found:
    """Mistakes and warnings so far."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.mistakes: list[str] = []
        self.warnings: list[str] = []

    def run(self, part: Callable[[], object]) -> None:
        try:
            part()
        except SettingsError as wrong:
            self.mistakes.append(str(wrong))

    async def judged(self, name: str, policy: RowPolicy) -> JudgedPolicy:
        engine = self._settings.engines[name]
        return engine_class(engine.type).judged(policy, engine.options)

    def options(self) -> None:
        """Those of each engine, and what they name on this machine, which only its adapter can judge."""
        unusable: list[str] = []
        for name in self._settings.engines:
            unusable += self._options_of(name)
        self.mistakes += unusable

    def _options_of(self, name: str) -> Iterator[str]:
        settings, engine = self._settings, self._settings.engines[name]
        key = ("engines", name, "options")
        try:
            adapter = engine_class(engine.type)
            traits = adapter.traits(engine.options)
            yield from missing_places(settings, name)
            yield from (self._line(name, each) for each in adapter.problems(engine.options))
            self.warnings += [self._line(name, each) for each in adapter.warnings(engine.options)]
            key = ("engines", name, "slots_per_worker")
            traits.check_slots(engine.slots_per_worker)
            if engine.confine and reach(engine.type, engine.options) is not None and (lacks := lacking()):
                where = f"{settings.origin('engines', name)}: engines.{name}"
                self.warnings.append(f"{where}: its workers are less confined than they could be: {'; '.join(lacks)}")
        except QueryEngineError as cause:
            self.mistakes.append(f"{settings.origin(*key)}: engines.{name}: {cause.failure.message}")
        except ValueError as cause:
            inside = cause.keys if isinstance(cause, OptionError) else ()
            self.mistakes.append(f"{settings.origin(*key, *inside)}: {'.'.join(key)}: {cause}")

    def _line(self, engine: str, what: OptionError) -> str:
        key = ("engines", engine, "options")
        return f"{self._settings.origin(*key, *what.keys)}: {'.'.join(key)}: {what}"


def _unusable_places(settings: Settings) -> Iterator[str]:
    """Files and folders that the server itself writes, where it could not."""
    path = settings.audit.path
    if path is not None and path.parent.is_dir():
        if path.exists() and not path.is_file():
            yield f"{settings.origin('audit', 'to')}: audit.to: {path} is not a regular file"
        elif not os.access(path if path.exists() else path.parent, os.W_OK):
            yield f"{settings.origin('audit', 'to')}: audit.to: {path} cannot be written by this user"
    problem = _not_a_folder(settings.state.directory)
    if problem:
        yield f"{settings.origin('state', 'directory')}: state.directory: {problem}"
    record = settings.state.record
    if isinstance(record, Path) and record.parent != settings.state.directory:
        if not record.parent.is_dir():
            yield f"{settings.origin('state', 'database')}: state.database: there is no folder {record.parent}"
        elif record.exists() and not record.is_file():
            yield f"{settings.origin('state', 'database')}: state.database: {record} is not a regular file"


def _not_a_folder(path: Path) -> str:
    """Why a folder can neither be used nor made; empty when it can."""
    there = next(each for each in (path, *path.parents) if each.exists())
    if not there.is_dir():
        return f"{there} is not a folder"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} cannot be written by this user"
    return ""


def _unknown_functions(settings: Settings) -> Iterator[str]:
    """Functions that a rule denies and that an engine, all of whose functions are known, does not have: a name that is
    misspelt denies nothing.
    """
    for name, engine in settings.engines.items():
        known = engine_class(engine.type).known_functions(engine.options)
        own = settings.statements.engines.get(name)
        is_own = own is not None and "deny" in own.functions.model_fields_set
        key = ("statements", *(("engines", name) if is_own else ()), "functions", "deny")
        for denied in settings.statements.of(name).functions.deny if known else ():
            if denied not in known:
                near = difflib.get_close_matches(denied, known, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                where = f"{settings.origin(*key)}: {'.'.join(key)}"
                yield f"{where}: engine {name} has no function {denied}, so this denies nothing there{hint}"
