"""What one call leaves in the audit log: one record of its decision, and one more when it fails after that."""

from typing import Any, Final

from queryengine.domain.analysis import Analysis
from queryengine.domain.audit import Decision, Planned, Verdict
from queryengine.domain.errors import Reason
from queryengine.domain.identity import NOBODY
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission
from queryengine.telemetry.audit import AuditLog

ID_CHARACTERS_MAX: Final = 64
"""Of an id that a caller sent; what is longer is no id."""
REFERENCE_CHARACTERS_MAX: Final = 160
"""Of a reference to a named query, which is never longer."""


class Trail:
    """The records of one call. Methods raise AUDIT_UNAVAILABLE when the call is to be refused for its record."""

    __slots__ = (
        "_has_effect",
        "_is_allowed",
        "_key_id",
        "_log",
        "_named_query",
        "_peer",
        "_planned",
        "_query_id",
        "_rpc",
        "principal",
    )

    def __init__(self, log: AuditLog, *, rpc: str, peer: str, has_effect: bool) -> None:
        """`has_effect`: it may do something before its record, which must then be written sooner or later."""
        self._log = log
        self._rpc = rpc
        self._peer = peer
        self._has_effect = has_effect
        self._query_id = self._key_id = self._named_query = ""
        self._planned: Planned | None = None
        self._is_allowed = False
        self.principal = NOBODY
        """Until the caller is identified."""

    async def begin(self, request: Any) -> None:
        """Before the call is carried out."""
        self._query_id = str(getattr(request, "query_id", ""))[:ID_CHARACTERS_MAX]
        self._key_id = str(getattr(request, "key_id", ""))[:ID_CHARACTERS_MAX]
        named = getattr(request, "named_query", "") or getattr(request, "name", "")
        self._named_query = str(named)[:REFERENCE_CHARACTERS_MAX]
        if self._has_effect:
            await self._log.require_working()

    async def allow_submission(self, query_id: str, submission: Submission, plan: Plan, analysis: Analysis) -> None:
        """Before a submission has an effect."""
        self._query_id = query_id
        self._named_query = plan.named_query
        self._planned = Planned(
            engine=plan.engine,
            sql=submission.sql,
            fingerprint=analysis.query_hash(submission.sql),
            tables=analysis.tables,
            row_policies=plan.row_policies,
            policy_version=plan.policy_version,
        )
        self._is_allowed = True
        await self._log.write(self._decision(Verdict.ALLOWED))

    async def decide(self, key_id: str = "") -> None:
        """Before a call has an effect. `key_id` is that of a key which it makes."""
        self._key_id = self._key_id or key_id
        self._is_allowed = True
        await self._log.write(self._decision(Verdict.ALLOWED))

    async def allow(self, answer: Any = None) -> None:
        """Before a reply leaves. Does nothing for a call whose record there is."""
        if self._is_allowed:
            return
        self._is_allowed = True
        if not self._key_id:
            # Of a key that the call made.
            self._key_id = getattr(getattr(answer, "key", None), "key_id", "")
        write = self._log.write_done if self._has_effect else self._log.write
        await write(self._decision(Verdict.ALLOWED))

    async def refuse(self, reason: Reason) -> None:
        """Before the status of a call that fails leaves."""
        if reason is Reason.AUDIT_UNAVAILABLE:
            return
        verdict = Verdict.FAILED if self._is_allowed else Verdict.REFUSED
        await self._log.write_done(self._decision(verdict, reason.value))

    def _decision(self, verdict: Verdict, reason: str = "") -> Decision:
        return Decision(
            principal=self.principal,
            peer=self._peer,
            rpc=self._rpc,
            query_id=self._query_id,
            key_id=self._key_id,
            named_query=self._named_query,
            planned=self._planned,
            verdict=verdict,
            reason=reason,
        )
