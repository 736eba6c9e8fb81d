"""Bounds on texts that come from elsewhere, as an engine's error messages and names do.

They are cut where they enter, so that the record of a query, every reply and every log line has a bound of its own.
"""

from typing import Final

MESSAGE_BYTES_MAX: Final = 4096
"""Of the message of an error."""
DETAIL_BYTES_MAX: Final = 256
"""Of any other text of an error."""
NAME_BYTES_MAX: Final = 512
"""Of an engine's own name for something: an execution, its phase, a version."""
URL_BYTES_MAX: Final = 2048


def shortened(text: str, bytes_max: int) -> str:
    """The text, or as much of its beginning as fits in so many bytes of UTF-8 with the mark of a cut. What UTF-8 cannot
    carry, such as half of a surrogate pair, becomes a question mark.
    """
    # A character takes at least a byte: what lies behind need not be encoded.
    encoded = text[: bytes_max + 1].encode("utf-8", "replace")
    if len(encoded) <= bytes_max:
        return encoded.decode()
    mark = "…".encode()
    return (encoded[: bytes_max - len(mark)] + mark).decode("utf-8", "ignore")


def whole_or_none(text: str, bytes_max: int) -> str:
    """The text, or an empty one when it is longer: a part of an address leads elsewhere."""
    return text if text == shortened(text, bytes_max) else ""
