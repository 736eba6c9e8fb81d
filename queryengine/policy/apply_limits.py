"""The step that fills the limits which a submission leaves open, and bounds what it asks for."""

from dataclasses import dataclass, replace

from queryengine.domain.analysis import Analysis
from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission
from queryengine.policy.limits.accounts import Accounts, TenantLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultLimits:
    """Limits of the service for what is left open."""

    queue_timeout_ms: int
    execution_timeout_ms: int
    interactive_timeout_ms: int
    ttl_ms: int


class ApplyLimits:
    """A step. A time that was asked for holds, but for that of an interactive query; a bound on rows and bytes holds as
    far as the tenant, subject or key may have it. Bounds on what is asked for at all are checked where it is asked.
    """

    def __init__(self, defaults: DefaultLimits, limits: TenantLimits) -> None:
        self._defaults = defaults
        self._limits = limits

    def adopt(self, defaults: DefaultLimits) -> None:
        """Use other defaults for submissions that come now."""
        self._defaults = defaults

    def __call__(self, _: Principal, submission: Submission, __: Analysis, plan: Plan) -> Plan:
        defaults = self._defaults
        own = _Own(self._limits.of(submission.tenant, submission.subject, submission.api_key))
        interactive = submission.interactive or own.flag("interactive")
        execution_ms = own.time("execution_timeout", submission.execution_timeout_ms, defaults.execution_timeout_ms)
        if interactive:
            execution_ms = own.interactive(execution_ms, defaults.interactive_timeout_ms)
        return replace(
            plan,
            queue_timeout_ms=own.time("queue_timeout", submission.queue_timeout_ms, defaults.queue_timeout_ms),
            execution_timeout_ms=execution_ms,
            row_limit=own.cap("row_limit", submission.row_limit),
            byte_limit=own.cap("byte_limit", submission.byte_limit),
            scan_row_limit=own.cap("scan_row_limit", submission.scan_row_limit),
            scan_byte_limit=own.cap("scan_byte_limit", submission.scan_byte_limit),
            interactive=interactive,
            limit_sources=own.sources,
            ttl_ms=defaults.ttl_ms if submission.ttl_ms is None else submission.ttl_ms,
        )


class _Own:
    """The bounds of one query by its accounts, and which of them were applied."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.sources: dict[str, str] = {}

    def flag(self, name: str) -> bool:
        bound = self._accounts.nearest(name)
        return bound is not None and bool(bound.value)

    def time(self, name: str, asked_ms: int | None, default_ms: int) -> int:
        if asked_ms is not None:
            return asked_ms
        bound = self._accounts.nearest(f"{name}_seconds")
        if bound is None:
            return default_ms
        self.sources[name] = bound.key
        return int(bound.value * 1000)

    def interactive(self, execution_ms: int, default_ms: int) -> int:
        """The shorter of the time that it may run anyway and that of interactive queries."""
        bound = self._accounts.nearest("interactive_timeout_seconds")
        most_ms = default_ms if bound is None else int(bound.value * 1000)
        if execution_ms <= most_ms:
            return execution_ms
        self.sources["execution_timeout"] = "limits.interactive_timeout_seconds" if bound is None else bound.key
        return most_ms

    def cap(self, name: str, asked: int) -> int:
        bound = self._accounts.nearest(name)
        if bound is None or 0 < asked <= bound.value:
            return asked
        self.sources[name] = bound.key
        return int(bound.value)
