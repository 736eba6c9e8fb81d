"""Guesses of times: never in the past, with what has passed of a run, and none without a past."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryengine.domain.lifecycle import QueryState
from queryengine.engines.base import Progress
from queryengine.executing.discretion import Discretion
from queryengine.executing.estimates import Estimates, wait_us
from queryengine.live.query import LiveQuery
from queryengine.live.remaining import remaining_us
from tests import store_values

NOW_US = 1_800_000_000_000_000
HOUR = 3_600_000_000
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("expected", "elapsed", "limit", "remaining"),
    [
        (100, 0, 1000, 100),
        (100, 30, 1000, 70),
        (100, 100, 1000, 0),
        # Late by some time: late by as much again.
        (100, 130, 1000, 30),
        (100, 900, 10_000, 800),
        # Not longer than it may run.
        (5000, 0, 1000, 1000),
        (100, 900, 1000, 100),
        (100, 1200, 1000, 0),
        # A clock that was set back.
        (100, -50, 1000, 100),
    ],
)
def test_what_has_passed_of_a_run_counts(expected: int, elapsed: int, limit: int, remaining: int) -> None:
    assert remaining_us(expected, elapsed, limit) == remaining


@pytest.mark.parametrize(
    ("free_after", "ahead", "each", "wait"),
    [
        ([0], 0, 100, 0),
        ([70], 0, 100, 70),
        ([70], 2, 100, 270),
        ([0, 0], 1, 100, 0),
        ([0, 0], 2, 100, 100),
        ([30, 80], 0, 100, 30),
        ([30, 80], 1, 100, 80),
        ([30, 80], 2, 100, 130),
        ([30, 80], 3, 100, 180),
        # The second slot is of no use for long.
        ([30, HOUR], 5, 100, 530),
        ([0], 10_000, 0, 10_000),
    ],
)
def test_a_wait_is_for_the_runs_and_for_what_is_ahead(free_after: list[int], ahead: int, each: int, wait: int) -> None:
    assert wait_us(free_after, ahead, each) == wait


@given(st.lists(st.integers(0, 500), min_size=1, max_size=8), st.integers(0, 60), st.integers(1, 300))
def test_a_wait_is_what_playing_it_out_gives(free_after: list[int], ahead: int, each: int) -> None:
    slots = list(free_after)
    heapq.heapify(slots)
    for _ in range(ahead):
        heapq.heapreplace(slots, slots[0] + each)
    assert wait_us(free_after, ahead, each) == slots[0]


def test_without_a_past_nothing_is_known() -> None:
    estimates = Estimates([("main", "seen", 100)])
    assert estimates.execution_us("main", "seen") == estimates.average_us("main") == 100
    assert estimates.execution_us("main", "other") is None
    assert estimates.average_us("side") is None
    estimates.learn("main", "seen", 200)
    assert estimates.average_us("main") == 130


@pytest.mark.parametrize(
    ("expected", "fraction", "elapsed", "left"),
    [
        (None, None, 10, None),
        (None, 0.0, 10, None),
        (100, None, 0, 100),
        (100, None, 60, 40),
        (100, None, 400, 300),
        (100, 0.0, 60, 40),
        # What the engine says wins over the past.
        (100, 0.25, 60, 180),
        (None, 0.25, 60, 180),
        (None, 1.0, 60, 0),
        # Hardly begun, or a figure that means nothing: no later than it may run.
        (None, 1e-300, 60, 1_800_000_000 - 60),
        (None, 1e-9, HOUR, 0),
        (DAY, None, 0, 1_800_000_000),
        (100, None, -HOUR, 100),
        (None, 0.5, -HOUR, 0),
    ],
)
def test_the_end_of_a_run_is_never_in_the_past(
    expected: int | None, fraction: float | None, elapsed: int, left: int | None
) -> None:
    live = LiveQuery(store_values.query(state=QueryState.RUNNING, attempt=1, start_us=NOW_US - elapsed))
    live.expected_us = expected
    live.progress = Progress(fraction)
    assert live.expected_end_us(NOW_US) == (None if left is None else NOW_US + left)


def test_a_query_that_does_not_run_has_no_end() -> None:
    live = LiveQuery(store_values.query())
    live.expected_us = 100
    assert live.expected_end_us(NOW_US) is None


def test_where_callers_are_verified_a_guess_is_from_the_past_of_the_same_user() -> None:
    """Else it would say to everybody that somebody has run this SQL, and for how long."""
    estimates = Estimates([], Discretion(lambda: True))
    asked = [
        store_values.query(number, asked=store_values.submission(subject=subject), tenant=tenant)
        for number, (tenant, subject) in enumerate((("a", "ann"), ("a", "bob"), ("b", "ann")))
    ]
    assert len({each.query_hash for each in asked}) == 1
    estimates.learn("main", estimates.past_of(asked[0]), 100)
    assert [estimates.execution_us("main", estimates.past_of(each)) for each in asked] == [100, None, None]
    assert estimates.average_us("main") == 100
    open_to_all = Estimates([])
    open_to_all.learn("main", open_to_all.past_of(asked[0]), 100)
    assert [open_to_all.execution_us("main", open_to_all.past_of(each)) for each in asked] == [100, 100, 100]
