"""The kinds of store that the contract of the record is tested with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from queryengine.store import Store
from tests.store_values import SERVER


@dataclass(frozen=True)
class StoreCase:
    """One kind of store; `open` with the same folder finds what was stored before."""

    name: str
    open: Callable[[Path], Awaitable[Store]]


STORE_CASES = [StoreCase("sqlite", lambda folder: Store.open(folder / "queries.db", owner=SERVER))]
