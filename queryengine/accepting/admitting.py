"""Refuses what there is no room for, before anything is done for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from queryengine.domain.errors import Reason, error
from queryengine.domain.submission import Submission
from queryengine.executing.dispatcher import Dispatcher
from queryengine.executing.quota import RecordQuota, SpoolQuota


class Admitting:
    """Rules that new queries pass; what was submitted before is not asked."""

    def __init__(self, *, quota: SpoolQuota, records: RecordQuota, dispatcher: Dispatcher) -> None:
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

    def admit(self, tenant: str, engine: str) -> None:
        """Raises SERVER_DRAINING, SPOOL_FULL and TENANT_QUEUE_FULL."""
        if self._draining:
            message = "the server is shutting down; send this to another one, or again in a moment"
            raise error(Reason.SERVER_DRAINING, message, retry_after_seconds=1.0)
        self._quota.admit(tenant)
        self._dispatcher.admit(engine, tenant)
