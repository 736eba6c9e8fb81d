"""Refuses what there is no room for, before anything is done for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from queryengine.domain.errors import Reason, error
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission
from queryengine.executing.dispatcher import Dispatcher
from queryengine.executing.quota import RecordQuota, SpoolQuota
from queryengine.policy.limits.accounts import Accounts, TenantLimits
from queryengine.policy.limits.rates import SubmitRates


class Admitting:
    """Rules that new queries pass; what was submitted before is not asked."""

    def __init__(
        self,
        *,
        limits: TenantLimits,
        rates: SubmitRates,
        quota: SpoolQuota,
        records: RecordQuota,
        dispatcher: Dispatcher,
    ) -> None:
        self._limits = limits
        self._rates = rates
        self._quota = quota
        self._records = records
        self._dispatcher = dispatcher
        self._draining = False

    def drain(self) -> None:
        """Refuse everything from now on."""
        self._draining = True

    @contextmanager
    def reserved(self, submission: Submission) -> Iterator[None]:
        """Room for the record of a submission, while it is written. Raises RECORDS_FULL."""
        with self._records.reserved(submission.tenant, submission.record_bytes()):
            yield

    def explained(self, submission: Submission) -> None:
        """Count a statement that is only explained as a Submit, which it is. Raises SUBMIT_RATE_LIMIT."""
        self._rates.take(self._accounts(submission))

    def admit(self, submission: Submission, plan: Plan) -> None:
        """Raises SERVER_DRAINING, SPOOL_FULL, SUBMIT_RATE_LIMIT, USAGE_LIMIT and TENANT_QUEUE_FULL."""
        if self._draining:
            message = "the server is shutting down; send this to another one, or again in a moment"
            raise error(Reason.SERVER_DRAINING, message, retry_after_seconds=1.0)
        accounts = self._accounts(submission)
        self._rates.take(accounts)
        self._quota.admit(accounts)
        self._dispatcher.admit(accounts, plan)

    def _accounts(self, submission: Submission) -> Accounts:
        return self._limits.of(submission.tenant, submission.subject, submission.api_key)
