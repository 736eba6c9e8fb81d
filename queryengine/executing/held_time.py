"""How long limits have kept queries waiting. A clock runs while a limit of its account holds, and shows that time
together with that of the account above it, where both at once count once. So one query that waits needs no clock of its
own: it takes what its clock shows when it begins to wait and when it has waited.
"""


class HeldClock:
    """Times are microseconds of a steady clock."""

    def __init__(self, above: "HeldClock | None") -> None:
        self._above = above
        self._own_us = 0
        """While its own limit held, and none above it."""
        self._since_us: int | None = None
        self._above_then_us = 0

    def hold(self, *, holds: bool, now_us: int) -> None:
        """The limit of its account holds from now on, or does not. Idempotent."""
        if holds == (self._since_us is not None):
            return
        self._own_us = self._own_at(now_us)
        self._since_us = now_us if holds else None
        self._above_then_us = self._above_at(now_us)

    def at(self, now_us: int) -> int:
        """For how long a limit has held until now, its own or one above."""
        return self._own_at(now_us) + self._above_at(now_us)

    def _own_at(self, now_us: int) -> int:
        if self._since_us is None:
            return self._own_us
        return self._own_us + (now_us - self._since_us) - (self._above_at(now_us) - self._above_then_us)

    def _above_at(self, now_us: int) -> int:
        return 0 if self._above is None else self._above.at(now_us)
