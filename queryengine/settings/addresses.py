"""Addresses to listen on, as they are written."""

import re
from typing import Final

_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\s/\[\]]+):(\d{1,5})|unix:\S+")


def is_address(value: str) -> bool:
    match = _ADDRESS.fullmatch(value)
    return match is not None and int(match[2] or 0) <= 65535


def checked_address(value: str) -> str:
    """The address. Raises ValueError for another text."""
    if not is_address(value):
        raise ValueError("expected host:port, [IPv6 address]:port or unix:path")
    return value
