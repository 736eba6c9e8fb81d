"""Time as a dependency: one wall clock for display and lifetimes, one steady clock for waits."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the service may ask of time."""

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC; may jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary point; never goes back."""
        ...


def steady_us(clock: Clock) -> int:
    """What its steady clock shows, in microseconds."""
    return int(clock.monotonic() * 1e6)


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()
