"""Places in SQL text: from the offsets and carets that engines report to lines and columns for people."""

from queryengine.domain.errors import Position


def position_of_character(sql: str, offset: int) -> Position:
    """The position of the character at this offset; an offset behind the end counts as the end."""
    before = sql[: max(0, offset)]
    line_start = before.rfind("\n") + 1
    return Position(line=before.count("\n") + 1, column=len(before) - line_start + 1)


def position_of_byte(sql: str, offset: int) -> Position:
    """As position_of_character, for an offset into the UTF-8 form of the text."""
    return position_of_character(sql, len(sql.encode()[: max(0, offset)].decode(errors="ignore")))
