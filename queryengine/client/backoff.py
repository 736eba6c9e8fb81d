"""When to open the next stream after one ended early, when to say so, and when to give up.
The caller passes the time.
"""

import random
from collections.abc import Callable
from typing import Final

from queryengine.client.errors import QueryEngineClientError, RpcFailure, ServiceUnavailable

OnRetry = Callable[[QueryEngineClientError], None]

FIRST_SECONDS: Final = 0.05
LONGEST_SECONDS: Final = 2.0
FACTOR: Final = 2.0


class Backoff:
    """Delays of 50 ms, doubled up to 2 s, each cut by up to a half at random; from the start again after
    progress. `on_retry` is called for the first attempt to go on that failed, once until the next progress.
    """

    def __init__(
        self,
        *,
        give_up_after: float,
        on_retry: OnRetry | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._give_up_after = give_up_after
        self._on_retry = on_retry
        self._uniform = uniform
        self._failures = 0
        self._since: float | None = None
        self._is_reported = False
        self._is_renewed = False

    def progressed(self) -> None:
        """Something new arrived."""
        self._since = None
        self._is_renewed = False

    def delay(self, now: float, *, is_planned: bool = False, failure: RpcFailure | None = None) -> float:
        """Seconds to wait. A planned end after progress costs nothing, and neither does a refused authorization that
        may be another one by now.

        Raises what the failure means, ServiceUnavailable by default, when nothing new came for
        `give_up_after`, and when an authorization is refused again before anything new came.
        """
        if failure is not None and failure.is_refusal:
            if self._is_renewed:
                raise failure.to_error()
            self._is_renewed = True
            return 0.0
        if self._since is None:
            self._since, self._failures, self._is_reported = now, 0, False
        elif now - self._since >= self._give_up_after:
            raise self._given_up(failure)
        elif failure is not None and not self._is_reported and self._on_retry is not None:
            self._is_reported = True
            self._on_retry(failure.to_error())
        if is_planned and self._failures == 0:
            self._failures = 1
            return 0.0
        # The exponent is bounded, as a very long wait would overflow a float.
        seconds = min(LONGEST_SECONDS, FIRST_SECONDS * FACTOR ** min(self._failures, 32))
        self._failures += 1
        wait = self._uniform(seconds / 2, seconds)
        return max(wait, failure.retry_after or 0.0) if failure is not None else wait

    def _given_up(self, failure: RpcFailure | None) -> QueryEngineClientError:
        seconds = f"no progress for {self._give_up_after:g} seconds"
        if failure is None:
            return ServiceUnavailable(f"{seconds}; the server ends every stream early", retryable=True)
        error = failure.to_error()
        error.add_note(seconds)
        return error
