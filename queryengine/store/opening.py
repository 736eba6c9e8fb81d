"""Opens the database that a setting names."""

from pathlib import Path
from typing import Final

from queryengine.store.database import Database, Results
from queryengine.store.sqlite import SQLite

READ_CONNECTIONS: Final = 2


async def open_database(place: Path | str, *, application: str, results: Results | None) -> Database:
    """The SQLite file at a path, or the PostgreSQL database at a URL. Raises StoreLocked or StoreUnusable."""
    if isinstance(place, Path):
        return await SQLite.open(place, read_connections=READ_CONNECTIONS, results=results)
    # Its driver is needed by those alone who use it.
    from queryengine.store.postgresql import PostgreSQL

    return await PostgreSQL.open(place, application=application, read_connections=READ_CONNECTIONS, results=results)
