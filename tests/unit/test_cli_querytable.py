"""What `ps` shows on terminals of each width."""

import pytest
from rich.cells import cell_len

from queryengine.cli.querytable import query_table
from queryengine.client.model import QueryStatus, query_status
from tests.unit.fake_service import status

SQL = "SELECT country, count(*) AS n FROM orders JOIN customers USING (id) GROUP BY country"
WAITS = "every worker of the engine is busy"
FAILED = "RESULT_BYTES_LIMIT_EXCEEDED"


def query(number: int, state: str, **fields: object) -> QueryStatus:
    message = status(state, 1, engine="warehouse", sql_preview=SQL, **fields)
    message.query_id = f"{number}1111111-1111-4111-8111-111111111111"
    message.submit_time.FromJsonString("2026-11-28T13:30:00Z")
    return query_status(message)


RUNNING = query(1, "RUNNING", subject="ann")
WAITING = query(2, "QUEUED", progress={"waiting_reason": WAITS, "queue_position": 2, "queue_depth": 9})
LOST = query(3, "FAILED", error={"reason": FAILED, "message": "too much"})


def column(lines: list[str]) -> str:
    """What the last column holds, without its lines' ends."""
    return "".join(line[max(map(line.rfind, "┃│╇")) + 1 :].strip().ljust(1) for line in lines)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 140, 160, 200, 400, None])
def test_the_reason_is_whole_at_any_width(width: int | None) -> None:
    lines, _ = query_table([RUNNING, WAITING, LOST], width)

    text = "".join("".join(lines).split()) if width is None or width > 160 else "".join(column(lines).split())
    assert WAITS.replace(" ", "") in text
    assert FAILED in text
    assert width is None or max(map(cell_len, lines)) <= width


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (None, []),
        (200, []),
        (120, ["submitted"]),
        (80, ["submitted", "user", "place", "waited"]),
        (20, ["submitted", "user", "place", "waited", "rows", "ran", "engine"]),
    ],
)
def test_columns_go_and_are_named(width: int | None, left_out: list[str]) -> None:
    lines, missing = query_table([RUNNING, WAITING, LOST], width)

    assert missing == left_out
    assert not [name for name in left_out if name in lines[0]]


def test_without_a_reason_there_is_more_room() -> None:
    lines, left_out = query_table([RUNNING], 100)

    assert left_out == ["submitted"]
    assert lines[0].split(" ┃ ")[-1].strip() == "sql"
    assert len(lines) == 3


def test_wide_characters_take_two_columns() -> None:
    message = status("RUNNING", 1, engine="倉庫", sql_preview="SELECT '" + "データ" * 30 + "'")

    lines, _ = query_table([query_status(message)], 80)

    assert max(map(cell_len, lines)) <= 80
    assert lines[-1].endswith("…")


def test_every_column_is_shown_where_nobody_looks() -> None:
    lines, _ = query_table([RUNNING, WAITING, LOST], None)

    assert SQL in lines[2]
    assert RUNNING.query_id in lines[2]
