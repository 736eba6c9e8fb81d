"""How long a run goes on that has lasted for some time."""


def remaining_us(expected_us: int, elapsed_us: int, limit_us: int) -> int:
    """Guess of how long a run goes on that has lasted for some time and may last as long as its limit.

    One that is late is taken to be late by as much again: nobody knows, but the longer it has been late, the longer it
    will be.
    """
    elapsed_us = max(0, elapsed_us)
    return max(0, min(abs(expected_us - elapsed_us), limit_us - elapsed_us))
