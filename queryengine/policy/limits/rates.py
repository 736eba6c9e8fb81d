"""How fast callers may submit: a bucket of tokens for each limit, which fills with time. A Submit takes one of each."""

from collections.abc import Callable
from math import ceil
from typing import Final

from queryengine.domain.errors import Reason
from queryengine.policy.limits.accounts import AccountId, Accounts
from queryengine.policy.limits.refusing import refused

BUCKETS_MAX: Final = 10_000
"""Kept at a time; full ones say nothing, and go."""


class SubmitRates:
    """Counts in memory: a server that starts has full buckets."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now`: seconds of a steady clock."""
        self._now = now
        self._full_at: dict[AccountId, float] = {}
        """When each bucket will be full again; one that is full has none."""

    def take(self, accounts: Accounts) -> None:
        """One token from each bucket, or none. Raises SUBMIT_RATE_LIMIT that says when there will be one again."""
        limits = accounts.bounds("submits_per_second")
        if not limits:
            return
        now = self._now()
        full_at: dict[AccountId, float] = {}
        for account, rate in limits:
            burst = account.bounds.get("submit_burst")
            tokens = max(1, ceil(rate.value)) if burst is None else burst.value
            # So long it takes to fill what is missing once this one is taken.
            missing_seconds = max(0.0, self._full_at.get(account.id, now) - now) + 1 / rate.value
            late_seconds = missing_seconds - tokens / rate.value
            # A bucket that is exactly empty is not late.
            if late_seconds > 1e-9:
                message = f"{account} may submit {rate.value:g} queries a second, {tokens} at once ({rate.key})"
                raise refused(Reason.SUBMIT_RATE_LIMIT, message, account, rate, retry_after_seconds=late_seconds)
            full_at[account.id] = now + missing_seconds
        self._full_at |= full_at
        if len(self._full_at) > BUCKETS_MAX:
            self._full_at = {each: at for each, at in self._full_at.items() if at > now}
