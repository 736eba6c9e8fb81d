"""Whether engines have the tables and columns that policies name, as found by looking, beside queries.

An engine is looked at when it has come up after its policies were loaded, and again from time to time. A query that
reads a table which did not fit has the engine looked at once more, so that a table that was mended is seen at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from queryengine.domain.analysis import Name
from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.query import Query
from queryengine.policy.row_security.policies import EffectivePolicy

LOOK_SECONDS: Final = 1.0
"""Between two looks at an engine that is not up yet, and at one whose tables do not fit, at least."""
REST_SECONDS: Final = 60.0
"""Between two looks at an engine that has answered."""

logger = logging.getLogger(__name__)

Ask = Callable[[str, Sequence[AskedTable]], Awaitable[Sequence[LiveTable | None] | Failure]]
"""What an engine has now of some tables, or why it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTable:
    """A table as policies name it."""

    asked: AskedTable
    place: str
    """Where its policy is written, and the key."""
    compared: Mapping[str, str] = field(default_factory=dict)
    """Columns that are compared with the caller's tenant or subject, each with the place of the predicate."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why the policies of a table cannot be applied."""

    missing: tuple[str, ...]
    """Columns that it lacks."""
    is_there: bool = True
    is_unfiltered: bool = False
    """Whether the engine has no row policies of its own in force for it, where it should."""

    def describe(self, table: str, known: Collection[str] | None = None) -> str:
        """`known` are the columns that may be named; all of them without it."""
        if not self.is_there:
            return f"it has no table {table}"
        if not self.missing:
            return f"it has no row policies of its own in force for table {table}"
        named = [repr(each) for each in self.missing if known is None or each in known]
        what = f"column {', '.join(named)}" if named else "a column that the policy names"
        return f"its table {table} lacks {what}"


class _Engine:
    """What is known of one engine."""

    def __init__(self, tables: Sequence[ExpectedTable]) -> None:
        self.tables = tables
        self.looking = asyncio.Lock()
        self.looked: float | None = None
        """When it last answered."""
        self.misfits: Mapping[Name, Misfit] = {}
        self.warnings: tuple[str, ...] = ()


class LiveCatalog:
    """Of all engines with policies."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._engines: Mapping[str, _Engine] = {}
        self._is_new = asyncio.Event()

    def adopt(self, expected: Mapping[str, Sequence[ExpectedTable]]) -> None:
        """Look for these tables from now on; nothing is known of them yet."""
        self._engines = {name: _Engine(tables) for name, tables in expected.items()}
        self._is_new.set()

    def warnings(self) -> tuple[str, ...]:
        """What does not fit, each with place and key."""
        return tuple(line for each in self._engines.values() for line in each.warnings)

    async def run(self) -> None:
        """Look at engines when that is due, for ever."""
        while True:
            self._is_new.clear()
            await asyncio.gather(*(self._look(name, each) for name, each in self._engines.items() if _is_due(each)))
            seconds = LOOK_SECONDS if any(each.looked is None for each in self._engines.values()) else REST_SECONDS
            try:
                async with asyncio.timeout(seconds if self._engines else None):
                    await self._is_new.wait()
            except TimeoutError:
                continue

    async def require(
        self, engine: str, policy: EffectivePolicy, relations: Iterable[Name], *, leave_turn: Callable[[], None]
    ) -> None:
        """Raises RELATION_NOT_ALLOWED for a relation whose policies cannot be applied to what the engine has. An engine
        that is not up is not judged. `leave_turn` is called before it waits.
        """
        known = self._engines.get(engine)
        if known is None or (known.looked is not None and not known.misfits):
            return
        read = tuple(relations)
        if known.looked is None or (known.misfits.keys() & set(read) and _is_old(known)):
            leave_turn()
            await self._look(engine, known)
        for path in read:
            if (misfit := known.misfits.get(path)) is not None:
                visible = policy.profile.by_path[path].visible
                raise _unusable(engine, path, misfit.describe(".".join(path), visible))

    async def explained(self, query: Query, failure: Failure) -> Failure:
        """The failure of a query under policies as it is, or that its policies do not fit the engine's tables."""
        known = self._engines.get(query.plan.engine)
        if known is None or failure.reason not in (Reason.STATEMENT_REJECTED, Reason.SYNTAX_ERROR):
            return failure
        if _is_old(known):
            await self._look(query.plan.engine, known)
        read = {name.rpartition(":")[0] for name in query.plan.row_policies}
        for path, misfit in known.misfits.items():
            if ".".join(path) in read:
                return _unusable(query.plan.engine, path, misfit.describe(".".join(path), ())).failure
        return failure

    async def _look(self, name: str, engine: _Engine) -> None:
        """Look at an engine, unless somebody else has while this waited. Changes nothing where it does not answer."""
        began = _now()
        async with engine.looking:
            if engine.looked is not None and engine.looked >= began:
                return
            answer = await self._ask(name, [each.asked for each in engine.tables])
            if isinstance(answer, Failure):
                if answer.reason is Reason.UNSUPPORTED:
                    engine.looked = _now()
                return
            engine.looked = _now()
            found = list(zip(engine.tables, answer, strict=True))
            engine.misfits = {each.asked.path: misfit for each, live in found if (misfit := _misfit(each, live))}
            before, engine.warnings = engine.warnings, tuple(_warnings(name, found))
        for line in engine.warnings:
            if line not in before:
                logger.warning("%s", line)
        if before and not engine.warnings:
            logger.info("engine %s has all that its policies name", name)


def _misfit(expected: ExpectedTable, live: LiveTable | None) -> Misfit | None:
    if live is None:
        return Misfit((), is_there=False)
    missing = tuple(name for name in expected.asked.columns if name not in live.types)
    is_unfiltered = expected.asked.enforced and not live.is_filtered
    return Misfit(missing, is_unfiltered=is_unfiltered) if missing or is_unfiltered else None


def _warnings(engine: str, found: Iterable[tuple[ExpectedTable, LiveTable | None]]) -> Iterator[str]:
    for expected, live in found:
        table = ".".join(expected.asked.path)
        if misfit := _misfit(expected, live):
            yield f"{expected.place}: engine {engine!r}: {misfit.describe(table)}; queries of it are refused"
        for column, place in expected.compared.items():
            if live is not None and column in live.not_text:
                yield (
                    f"{place}: engine {engine!r}: column {column!r} of {table} is compared with the caller's tenant or "
                    f"subject and has the type {live.types[column]}; compare text with text, or others may equal it"
                )


def _unusable(engine: str, path: Name, what: str) -> QueryEngineError:
    table = ".".join(path)
    message = (
        f"the policies of {table} cannot be applied to engine {engine!r}: {what}; the operator of the service has to "
        "mend the policy or the table"
    )
    return error(Reason.RELATION_NOT_ALLOWED, message, relation=table)


def _is_due(engine: _Engine) -> bool:
    return engine.looked is None or _now() - engine.looked >= REST_SECONDS


def _is_old(engine: _Engine) -> bool:
    return engine.looked is None or _now() - engine.looked >= LOOK_SECONDS


def _now() -> float:
    return asyncio.get_running_loop().time()
