"""What names of the service's own begin with in a text that runs; no statement of a user may have one."""

from typing import Final

PREFIX: Final = "__qe_"
BASE: Final = f"{PREFIX}t"
"""What a table is called inside of the subquery that stands for it."""


def is_policed(sql: str) -> bool:
    """Whether a text that runs has tables in their subqueries. A text of a user that has none may look like one."""
    return BASE in sql
