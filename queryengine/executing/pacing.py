"""When to look again at what has changed: at once, but not more often than every so many seconds, and again after a
while without a change, as time alone changes things, too. Decides, does nothing.
"""

from math import inf


class Pacing:
    """Times are seconds of a steady clock."""

    def __init__(self, *, least_seconds: float, idle_seconds: float) -> None:
        self._least_seconds = least_seconds
        self._idle_seconds = idle_seconds
        self._looked_at = -inf
        self._has_changed = False

    def changed(self) -> None:
        self._has_changed = True

    def due_at(self) -> float:
        """When the next look is due; in the past for one that is due now."""
        return self._looked_at + (self._least_seconds if self._has_changed else self._idle_seconds)

    def looked(self, now: float) -> None:
        """A look was taken, so that the next one is due later."""
        self._looked_at = now
        self._has_changed = False
