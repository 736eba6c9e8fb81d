"""Where text for people goes, and how wide it may be."""

import sys

from rich.console import Console
from rich.table import Table

WIDE = 1_000_000
"""Columns where there is no terminal: nothing is cut for a reader who can scroll."""


def error_console() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False)


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None when it is none."""
    return Console().width if sys.stdout.isatty() else None


def table_lines(table: Table, width: int | None) -> list[str]:
    """A table of at most this width, by default as wide as it is; without colours unless it is for a terminal."""
    console = Console(highlight=False, width=WIDE if width is None else width)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]
