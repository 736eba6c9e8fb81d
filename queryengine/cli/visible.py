"""Text from elsewhere, as it may be shown on a terminal."""

from collections.abc import Mapping
from typing import Final

_CONTROLS: Final[Mapping[int, str]] = {
    code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if chr(code) not in "\n\t"
}


def visible(text: str) -> str:
    """The text with its control characters shown instead of obeyed: values, SQL and messages are other people's, and a
    terminal would let them move the cursor, change colours or the title. Line breaks and tabs stay.
    """
    return text.translate(_CONTROLS)
