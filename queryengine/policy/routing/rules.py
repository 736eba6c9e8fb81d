"""Rules: who and what each is for, and where it sends that."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from queryengine.domain.analysis import Analysis
from queryengine.domain.identity import Principal
from queryengine.domain.submission import Submission
from queryengine.policy.routing.conditions import OfEstimate, OfSubmission, OfText


class Sticky(StrEnum):
    """What stays on one side of a split."""

    TENANT = "tenant"
    SUBJECT = "subject"
    STATEMENT = "statement"
    REQUEST = "request"


class Hint(StrEnum):
    """What a rule makes of a submission that names an engine."""

    ALLOW = "allow"
    """The rule is not for it."""
    REFUSE = "refuse"
    """It may name the engines of the rule and no other."""
    OVERRIDE = "override"
    """The name does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Engines in the order of preference; with weights, the first is drawn among them."""

    engines: tuple[str, ...]
    weights: tuple[int, ...] = ()
    by: Sticky = Sticky.TENANT
    strict: bool = False
    """Only the first engine, or the one that was drawn."""

    def ordered(self, rule: str, principal: Principal, submission: Submission) -> tuple[str, ...]:
        """The engines to try, one after the other. The same for the same principal and submission."""
        if not self.weights:
            return self.engines
        drawn = self._drawn(rule, principal, submission)
        return (drawn, *(each for each in self.engines if each != drawn))

    def _drawn(self, rule: str, principal: Principal, submission: Submission) -> str:
        key = {
            Sticky.TENANT: lambda: principal.tenant,
            Sticky.SUBJECT: lambda: f"{principal.tenant}\0{principal.subject}",
            Sticky.STATEMENT: submission.query_hash,
            Sticky.REQUEST: submission.fingerprint,
        }[self.by]()
        # With the name of the rule, so that the few per cent of two splits are not the same callers.
        digest = hashlib.sha256(f"{rule}\0{key}".encode("utf-8", "replace")).digest()
        place = int.from_bytes(digest[:8], "big") % sum(self.weights)
        ends = accumulate(self.weights)
        return next(name for name, end in zip(self.engines, ends, strict=True) if place < end)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRule:
    """One rule: all its conditions must hold."""

    name: str
    of_submission: Sequence[OfSubmission] = ()
    of_text: Sequence[OfText] = ()
    of_estimate: OfEstimate | None = None
    target: Target
    hint: Hint = Hint.ALLOW
    translate_from: str = ""
    """The dialect of texts whose callers do not say theirs, which are translated to that of the engine; empty for a
    rule that has none translated."""

    @property
    def needs_text(self) -> bool:
        return bool(self.of_text) or self.of_estimate is not None

    def for_submission(self, principal: Principal, submission: Submission) -> list[str] | None:
        """The facts by which it is for a submission, as far as that alone says; None when it is not."""
        facts = list[str]()
        for check in self.of_submission:
            fact = check(principal, submission)
            if fact is None:
                return None
            facts.append(fact)
        return facts

    def for_text(self, submission: Submission, analysis: Analysis) -> list[str] | None:
        """The facts by which it is for a text; None when it is not."""
        facts = list[str]()
        for check in self.of_text:
            fact = check(submission, analysis)
            if fact is None:
                return None
            facts.append(fact)
        return facts
