"""Offsets in SQL text as lines and columns."""

import pytest

from queryengine.domain.errors import Position
from queryengine.engines.kit.sqltext import position_of_byte, position_of_character

TEXT = "é, 'ü'\n☃ x\n"


@pytest.mark.parametrize(
    ("offset", "line", "column"),
    [(0, 1, 1), (1, 1, 2), (6, 1, 7), (7, 2, 1), (9, 2, 3), (10, 2, 4), (11, 3, 1), (99, 3, 1), (-1, 1, 1)],
)
def test_characters(offset: int, line: int, column: int) -> None:
    assert position_of_character(TEXT, offset) == Position(line, column)


@pytest.mark.parametrize(
    ("offset", "line", "column"), [(0, 1, 1), (2, 1, 2), (9, 2, 1), (12, 2, 2), (13, 2, 3), (-8, 1, 1)]
)
def test_bytes(offset: int, line: int, column: int) -> None:
    assert position_of_byte(TEXT, offset) == Position(line, column)
