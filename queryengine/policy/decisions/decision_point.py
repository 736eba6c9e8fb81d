"""Asks a decision point, such as OPA, once for each query: whether it may run, and which rows of its tables it may see.

An answer is remembered for a short time, for the same principal and the same question. Whatever goes wrong refuses the
query.
"""

import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.identity import Principal
from queryengine.domain.row_policy import Condition
from queryengine.policy.decisions.answers import Decision, decision_of
from queryengine.policy.fetching import Document, FetchFailed
from queryengine.policy.row_security.policies import EffectivePolicy

REMEMBERED_MAX: Final = 10_000
RETRY_SECONDS: Final = 1.0
_OF_TOKENS: Final = frozenset({"auth_time", "exp", "iat", "jti", "nbf"})
"""Claims that each token of a principal has anew, and that say nothing of it."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A decision point, and for how long its answers hold."""

    document: Document
    cache_seconds: float


class DecisionPoint:
    """The one in force, if there is one. Close it."""

    def __init__(self, endpoint: Endpoint | None = None, *, now: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = endpoint
        self._now = now
        self._remembered: OrderedDict[bytes, tuple[float, Decision]] = OrderedDict()

    @property
    def is_on(self) -> bool:
        return self._endpoint is not None

    def decided_for(self, principal: Principal) -> str:
        """What the plan of a query of this principal has; empty without a decision point."""
        return principal_key(principal) if self.is_on else ""

    def adopt(self, endpoint: Endpoint | None) -> None:
        """Ask this one from now on, and forget all answers."""
        self.close()
        self._endpoint = endpoint
        self._remembered.clear()

    def close(self) -> None:
        """End its threads, as soon as they have their answers. Idempotent."""
        if self._endpoint is not None:
            self._endpoint.document.close()

    async def decide(
        self,
        principal: Principal,
        engine: str,
        analysis: Analysis,
        policy: EffectivePolicy | None,
        *,
        leave_turn: Callable[[], None],
    ) -> EffectivePolicy | None:
        """The policy with what the decision point demands beyond it. `leave_turn` is called before it waits.

        Raises POLICY_DENIED, and POLICY_UNAVAILABLE when there is no answer, or one that cannot be applied.
        """
        if self._endpoint is None:
            return policy
        question = _question(principal, engine, analysis)
        body = json.dumps({"input": question}, sort_keys=True, default=str).encode()
        decision = self._known(body)
        if decision is None:
            leave_turn()
            decision = await self._asked(self._endpoint, body)
        if not decision.allow:
            why = f": {decision.reason}" if decision.reason else ""
            message = f"the decision point of the service does not allow this query{why}"
            raise error(Reason.POLICY_DENIED, message, engine=engine)
        wanted = {table: conditions for table, conditions in decision.conditions.items() if conditions}
        return policy if not wanted else _narrowed(policy, wanted, question["tables"] or ())

    def _known(self, body: bytes) -> Decision | None:
        found = self._remembered.get(hashlib.sha256(body).digest())
        return found[1] if found is not None and self._now() < found[0] else None

    async def _asked(self, endpoint: Endpoint, body: bytes) -> Decision:
        try:
            decision = decision_of(await endpoint.document.fetch(body))
        except (FetchFailed, ValueError) as cause:
            raise _unavailable(f"the answer of the decision point cannot be used: {cause}") from cause
        if endpoint is self._endpoint and endpoint.cache_seconds:
            key = hashlib.sha256(body).digest()
            self._remembered[key] = (self._now() + endpoint.cache_seconds, decision)
            self._remembered.move_to_end(key)
            if len(self._remembered) > REMEMBERED_MAX:
                self._remembered.popitem(last=False)
        return decision


def principal_key(principal: Principal) -> str:
    """Equal for equal principals, whichever of their tokens they have shown."""
    text = json.dumps(_principal(principal), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _principal(principal: Principal) -> dict[str, Any]:
    return {
        "tenant": principal.tenant,
        "subject": principal.subject,
        "roles": sorted(principal.roles),
        "claims": {name: value for name, value in principal.claims.items() if name not in _OF_TOKENS},
    }


def _question(principal: Principal, engine: str, analysis: Analysis) -> dict[str, Any]:
    """What is asked. Tables are null where it is not known which the statement reads."""
    policed, tables = analysis.policed, analysis.tables
    names: Sequence[str] | None = None if tables is None else sorted(".".join(name) for name in tables)
    if policed is not None:
        names = [".".join(path) for path in (*policed.relations, *policed.unlisted)]
    return {
        "principal": _principal(principal),
        "engine": engine,
        "kinds": None if analysis.kinds is None else sorted(analysis.kinds),
        "tables": names,
    }


def _narrowed(
    policy: EffectivePolicy | None, wanted: Mapping[str, tuple[Condition, ...]], tables: Sequence[str]
) -> EffectivePolicy:
    if policy is None:
        raise _unavailable("the decision point filters rows of an engine that has no `policies`, which apply them")
    if unasked := wanted.keys() - set(tables):
        raise _unavailable(f"the decision point filters {min(unasked)!r}, which the query does not read")
    by_name = {".".join(path): relation for path, relation in policy.profile.by_path.items()}
    if open_ones := wanted.keys() - by_name.keys():
        raise _unavailable(f"the decision point filters {min(open_ones)!r}, which the policies do not list")
    for table, conditions in wanted.items():
        for condition in conditions:
            if condition.column not in by_name[table].columns:
                raise _unavailable(f"the decision point filters by {condition.column!r}, which {table} does not list")
    return policy.narrowed({by_name[table].path: conditions for table, conditions in wanted.items()})


def _unavailable(why: str) -> QueryEngineError:
    """The log says why; a caller learns no more than that it is no fault of the query."""
    logger.warning("a query is refused: %s", why)
    message = "the decision point of the service gives no answer that can be used now; try again later"
    return error(Reason.POLICY_UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS)
