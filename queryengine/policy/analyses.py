"""Has SQL text analysed before a query is accepted, in sandbox workers, so that hostile text costs its sender.

Each text first gets a slice of processor time: a short one in the quick lane, a long one in another, by its length.
What did not end in its slice gets the whole limit in the thorough lane. Whoever sent it waits behind all others for a
while, in the lane of the slices also with short texts, so that bombs of many tenants do not add up for anybody else.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeVar

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.domain.row_policy import RowPolicy
from queryengine.engines.base import EngineTraits, JudgedPolicy
from queryengine.policy.row_security.policies import EffectivePolicy
from queryengine.workers.protocol import Frame
from queryengine.workers.sandbox import LimitExceeded, ProcessLost
from queryengine.workers.sandbox_pool import SandboxPool

logger = logging.getLogger(__name__)

REMEMBERED_MAX: Final = 1_000
REMEMBERED_CHARACTERS_MAX: Final = 4_096
SHORT_CHARACTERS_MAX: Final = 8_192
SLICE_SECONDS: Final = 0.1
"""Processor time of a short text; most take a thousandth of it."""
SLICE_SECONDS_PER_CHARACTER: Final = 8e-6
"""What a long text gets beyond that; most take half of it."""
TRAITS_SECONDS: Final = 10.0
POLICY_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 60.0
"""After a text that took too long, or a long one that was refused, its tenant's texts wait behind those of all others
for this time."""
TENANTS_MAX: Final = 10_000
RETRY_SECONDS: Final = 1.0
_Key = tuple[str, str, tuple[str, ...], str]
"""By engine, policy, functions that are allowed, and text."""
_Kept = TypeVar("_Kept")


class Translation(NamedTuple):
    """A text in another dialect than it was submitted in."""

    sql: str
    normalised: str | None
    """The text as submitted, as in Analysis."""


class Analyses:
    """What is known of texts. The analysis of a short one is remembered, unless the engine refuses the text."""

    def __init__(
        self,
        *,
        quick: SandboxPool,
        thorough: SandboxPool,
        inspections: SandboxPool,
        cpu_seconds: float,
        sliced: SandboxPool | None = None,
    ) -> None:
        """Without the lane `sliced`, long texts get their whole limit at once, and all short ones are in one lane."""
        self._inspections = inspections
        self._quick = quick
        self._sliced = sliced
        self._thorough = thorough
        self._cpu_seconds = cpu_seconds
        self._remembered: OrderedDict[_Key, Analysis] = OrderedDict()
        """The one used last at the end."""
        self._translations: OrderedDict[_Key, Translation] = OrderedDict()
        self._slow_tenants: OrderedDict[str, float] = OrderedDict()
        """Until when a tenant's texts wait behind those of others."""

    def remembered(
        self, engine: str, sql: str, policy: EffectivePolicy | None = None, allowed: tuple[str, ...] = ()
    ) -> Analysis | None:
        """What is known of a text already: it depends on what `of` is given alone, and services repeat their texts."""
        return self._recall(_key(engine, sql, policy, allowed))

    async def of(
        self,
        tenant: str,
        engine: str,
        sql: str,
        *,
        size_bytes: int,
        policy: EffectivePolicy | None = None,
        allowed: tuple[str, ...] = (),
    ) -> Analysis:
        """The analysis of a text by its engine, which may refuse it; with a policy, it says what runs in its place.
        `size_bytes` is what the caller holds in memory meanwhile, `allowed` are functions that the engine lets pass
        although it refuses them.

        Raises STATEMENT_TOO_COMPLEX when it takes too much time or memory; TENANT_BUSY when too many texts of the
        tenant wait; SANDBOX_UNAVAILABLE when it could not be analysed.
        """
        order: dict[str, Any] = {"type": "check", "engine": engine, "sql": sql}
        blob = b""
        if allowed:
            order["allowed"] = allowed
        if policy is not None:
            order["policy"] = {"values": policy.values, "schema": policy.schema}
            blob = policy.profile.encoded
        done = await self._done(tenant, order, blob, size_bytes)
        if "failure" in done:
            if len(sql) > SHORT_CHARACTERS_MAX:
                # It cost about as much as one that takes too long, and may be sent again and again.
                self._note_slow(tenant)
            return Analysis(refusal=Failure.from_json(done["failure"]))
        analysis = Analysis.from_json(done["analysis"])
        if policy is not None:
            secured = done["secured"]
            relations, unlisted = (map(tuple, secured[name]) for name in ("relations", "unlisted"))
            analysis = replace(analysis, policed=policy.policed(secured["sql"], relations, unlisted))
        _keep(self._remembered, _key(engine, sql, policy, allowed), analysis)
        return analysis

    def remembered_facts(self, dialect: str, sql: str) -> Analysis | None:
        """What is known already of a text as a dialect."""
        return self._recall(_facts_key(dialect, sql))

    async def facts(self, tenant: str, dialect: str, sql: str, *, size_bytes: int) -> Analysis:
        """What a text says of itself as one of a dialect, whichever engine is to run it; nothing of one that cannot be
        read. Raises as `of` does.
        """
        order = {"type": "facts", "dialect": dialect, "sql": sql}
        done = await self._done(tenant, order, b"", size_bytes)
        if "failure" in done:
            raise QueryEngineError(Failure.from_json(done["failure"]))
        analysis = Analysis.from_json(done["analysis"])
        _keep(self._remembered, _facts_key(dialect, sql), analysis)
        return analysis

    async def translated(
        self, tenant: str, sql: str, source: str, target: str, *, size_bytes: int, leave_turn: Callable[[], None]
    ) -> Translation:
        """A text in another dialect; that of a short one is remembered. `leave_turn` is called before it waits. Raises
        TRANSLATION_REFUSED, and as `of` does.
        """
        key = (f"from:{source}", target, (), sql)
        known = self._translations.get(key)
        if known is not None:
            self._translations.move_to_end(key)
            return known
        leave_turn()
        order = {"type": "translate", "sql": sql, "source": source, "target": target}
        done = await self._done(tenant, order, b"", size_bytes)
        if "failure" in done:
            raise QueryEngineError(Failure.from_json(done["failure"]))
        found = Translation(done["sql"], done["normalised"])
        _keep(self._translations, key, found)
        return found

    def adopt(self, *, cpu_seconds: float) -> None:
        """Give analyses another limit of processor time from now on."""
        self._cpu_seconds = cpu_seconds

    async def traits(self, engine: str, engine_type: str, options: Mapping[str, Any]) -> EngineTraits:
        """What a configured engine can do. Raises ENGINE_UNAVAILABLE when its driver is missing, INVALID_FIELD when an
        option is wrong.
        """
        order = {"type": "traits", "engine_type": engine_type, "options": dict(options)}
        try:
            frames = await self._inspections.request("", order, cpu_seconds=TRAITS_SECONDS)
        except (LimitExceeded, ProcessLost) as cause:
            message = f"engine {engine!r} cannot be inspected: {cause}"
            raise error(Reason.ENGINE_UNAVAILABLE, message, engine=engine) from cause
        _raise_failure(frames)
        fields = frames[0].header["traits"]
        return EngineTraits(**{**fields, "session_settings": tuple(fields["session_settings"])})

    async def judged(self, engine: str, policy: RowPolicy) -> JudgedPolicy:
        """What the adapter of an engine says of its policies. Raises as `of` does."""
        order = {"type": "policy", "engine": engine}
        try:
            frames = await self._thorough.request("", order, policy.encode(), cpu_seconds=POLICY_SECONDS)
        except LimitExceeded:
            return JudgedPolicy([(None, "they take too long to check; make them shorter")])
        except ProcessLost as cause:
            raise _unavailable("the policies could not be checked") from cause
        _raise_failure(frames)
        done = frames[-1].header
        return JudgedPolicy(*([(number, text) for number, text in done[key]] for key in ("problems", "compared")))

    def _recall(self, key: _Key) -> Analysis | None:
        found = self._remembered.get(key)
        if found is not None:
            self._remembered.move_to_end(key)
        return found

    async def _done(self, tenant: str, order: dict[str, Any], blob: bytes, size_bytes: int) -> dict[str, Any]:
        """What the sandbox worker answers about the text in an order."""
        try:
            frames = await self._frames(tenant, order, blob, size_bytes, last=self._waits_for_others(tenant))
        except LimitExceeded as cause:
            self._note_slow(tenant)
            raise self._too_complex() from cause
        except ProcessLost as cause:
            raise _unavailable("the statement could not be checked") from cause
        return frames[-1].header

    async def _frames(
        self, tenant: str, order: dict[str, Any], blob: bytes, size_bytes: int, *, last: bool
    ) -> list[Frame]:
        characters = len(order["sql"])
        is_short = characters <= SHORT_CHARACTERS_MAX
        lane = self._quick if is_short and (self._sliced is None or not last) else self._sliced
        if lane is not None:
            more = 0.0 if is_short else characters * SLICE_SECONDS_PER_CHARACTER
            seconds = min(SLICE_SECONDS + more, self._cpu_seconds)
            try:
                return await lane.request(tenant, order, blob, cpu_seconds=seconds, size_bytes=size_bytes, last=last)
            except LimitExceeded:
                self._note_slow(tenant)
                if seconds >= self._cpu_seconds:
                    raise
        return await self._thorough.request(
            tenant, order, blob, cpu_seconds=self._cpu_seconds, size_bytes=size_bytes, last=last
        )

    def _waits_for_others(self, tenant: str) -> bool:
        return self._slow_tenants.get(tenant, 0.0) > _now()

    def _note_slow(self, tenant: str) -> None:
        self._slow_tenants[tenant] = _now() + PATIENCE_SECONDS
        self._slow_tenants.move_to_end(tenant)
        for lane in (self._quick, self._sliced, self._thorough):
            if lane is not None:
                lane.defer(tenant)
        if len(self._slow_tenants) > TENANTS_MAX:
            self._slow_tenants.popitem(last=False)

    def _too_complex(self) -> QueryEngineError:
        return error(
            Reason.STATEMENT_TOO_COMPLEX,
            "the statement is too complex to check; simplify it, or bind long lists as parameters",
            timeout_ms=int(self._cpu_seconds * 1000),
        )


def _key(engine: str, sql: str, policy: EffectivePolicy | None, allowed: tuple[str, ...]) -> _Key:
    return engine, policy.key if policy is not None else "", allowed, sql


def _keep(kept: OrderedDict[_Key, _Kept], key: _Key, value: _Kept) -> None:
    """Remember what is known of a short text."""
    if len(key[-1]) <= REMEMBERED_CHARACTERS_MAX:
        kept[key] = value
        if len(kept) > REMEMBERED_MAX:
            kept.popitem(last=False)


def _facts_key(dialect: str, sql: str) -> _Key:
    # No engine has a name with a colon.
    return f"dialect:{dialect}", "", (), sql


def _raise_failure(frames: list[Frame]) -> None:
    failure = frames[-1].header.get("failure")
    if failure is not None:
        raise QueryEngineError(Failure.from_json(failure))


def _unavailable(what: str) -> QueryEngineError:
    message = f"{what} now, which is no fault of the request; send it again"
    return error(Reason.SANDBOX_UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS)


def _now() -> float:
    return asyncio.get_running_loop().time()
