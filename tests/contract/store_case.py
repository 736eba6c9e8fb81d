"""The kinds of store that the contract of the record is tested with."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from queryengine.store import Store
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.server import shared
from tests.store_values import SERVER


@dataclass(frozen=True)
class StoreCase:
    """One kind of store; `open` with the same folder finds what was stored before."""

    name: str
    open: Callable[[Path], Awaitable[Store]]


async def on_sqlite(folder: Path) -> Store:
    return await Store.open(folder / "queries.db", owner=SERVER)


async def on_postgresql(folder: Path) -> Store:
    return await Store.open(record_url(folder), owner=SERVER)


def record_url(folder: Path) -> str:
    """Of a record in the shared server, a new one for each folder."""
    server = shared(PostgreSQLServer)
    assert isinstance(server, PostgreSQLServer)
    return server.record_url("of_" + hashlib.sha256(str(folder).encode()).hexdigest()[:24])


STORE_CASES = [StoreCase("sqlite", on_sqlite), StoreCase("postgresql", on_postgresql)]
