"""What a person is shown of a query on a terminal: the part that is done, rows, bytes, rate and the time left."""

import datetime as dt
import io

import pytest
from rich.console import Console

from queryengine.cli.progressbar import ProgressBar, measure, seconds_left
from queryengine.client.model import query_status
from tests.unit.fake_service import status

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
RUNNING = {
    "progress": {"fraction": 0.25},
    "stats": {"rows": 4_000, "bytes": 8 << 20, "execution_time": {"seconds": 4}},
}
ESTIMATED = {"progress": {"fraction": 0.25, "estimated_completion_time": {"seconds": int(NOW.timestamp()) + 7}}}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (RUNNING, "RUNNING, 25%, 4,000 rows, 8.0 MiB, 1,000 rows/s, 2.0 MiB/s, 4 s, about 12 s left"),
        (RUNNING | ESTIMATED, "RUNNING, 25%, 4,000 rows, 8.0 MiB, 1,000 rows/s, 2.0 MiB/s, 4 s, about 7 s left"),
        ({"stats": {"execution_time": {"seconds": 2}}}, "RUNNING, 2 s"),
        ({}, "RUNNING, 0 s"),
    ],
)
def test_what_is_measured(fields: dict[str, object], text: str) -> None:
    assert measure(query_status(status("RUNNING", 1, **fields)), NOW) == text


def test_a_query_that_waits_says_why() -> None:
    place = {"queue_position": 1, "queue_depth": 2, "waiting_reason": "starting"}
    queued = query_status(status("QUEUED", 1, progress=place))
    assert measure(queued, NOW) == "QUEUED, 1 before it, 2 waiting for duckdb: starting"


def test_an_estimate_that_has_passed_is_no_time_left() -> None:
    late = query_status(status("RUNNING", 1, **ESTIMATED))
    assert seconds_left(late, NOW + dt.timedelta(minutes=1)) == 0


def test_the_bar_is_drawn_and_cleared() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with ProgressBar(console=console) as shown:
        shown.show(query_status(status("RUNNING", 1, **RUNNING)))
        shown.say("no answer, trying again")
        shown.make_way()
        drawn = console.file.getvalue()
        console.print("rows")

    assert "RUNNING, 25%, 4,000 rows, 8.0 MiB, 1,000 rows/s" in drawn
    assert "no answer, trying again\n" in drawn
    assert console.file.getvalue().endswith("\x1b[2Krows\n")
