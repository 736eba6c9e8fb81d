"""The database that holds the record: what the store needs of it, and what SQLite and PostgreSQL do differently.

Statements, migrations and the writer are the same for both. A database is open, migrated and held by this server alone
from its making until `close`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Protocol, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")


class StoreUnusable(Exception):  # noqa: N818 - Named for what it says; it ends the start.
    """The database cannot be used as the record of queries. The message names it and says why."""


class StoreLocked(StoreUnusable):
    """Another server process uses the database. The message names the database and that process."""


class Unreachable(Exception):  # noqa: N818 - Named for what it says.
    """A write would not be found again, or the database is not ours any more. The message says why."""


class Taken(Unreachable):
    """Another server has used the database since. This one can write nothing more."""


class Results(Protocol):
    """What the store asks of the results that lie beside it, before it opens."""

    @property
    def root(self) -> str:
        """Where they are, for people."""
        ...

    def holds_any(self) -> bool:
        """Whether there are results, so that there must be a record of them."""
        ...

    def shrink_unfinished(self) -> None:
        """Make room on the disk by what can never be read as a whole result."""
        ...


class Database(ABC):
    """An open database. `writing` is for the one writer, `reading` for connections that change nothing."""

    name: ClassVar[str]
    keeps_connections: ClassVar[bool]
    """Whether a connection is as good as before after a transaction on it failed."""
    title: str
    """For messages: where it is, without a password."""
    writing: AsyncEngine
    reading: AsyncEngine

    @abstractmethod
    async def run(self, connection: AsyncConnection, work: Callable[[sa.Connection], T]) -> T:
        """Call `work` with the connection, off the event loop or without blocking it. Must not be cancelled."""

    @abstractmethod
    def check(self) -> None:
        """Raise Unreachable when what is written would not be found again. Asked before each transaction of the
        writer, from `run`.
        """

    def move_in(self, owner: str) -> None:  # noqa: B027 - Nothing to do for most.
        """From now on, every transaction of the writer is that of this server."""

    def begin(self, connection: sa.Connection) -> int:
        """Called first in each transaction of the writer. Returns a mark by which `holds` knows the transaction."""
        del connection
        return 0

    def may_have_committed(self, cause: Exception) -> bool:
        """Whether a COMMIT that failed so may have happened all the same."""
        del cause
        return False

    def holds(self, connection: sa.Connection, mark: int) -> bool:
        """Whether the transaction with that mark was committed; it is over when this returns. Raises Taken when nobody
        can know any more.
        """
        del connection, mark
        return True

    def refuses(self, cause: Exception) -> bool:
        """Whether a statement broke a rule, as opposed to a database that does not work."""
        if isinstance(cause, DBAPIError):
            return isinstance(cause, IntegrityError | DataError | ProgrammingError)
        return not isinstance(cause, MemoryError | OSError | NoConnection | Unreachable)

    def make_room(self, cause: Exception) -> bool:
        """Free what is kept for a database that is full; False when that is not the trouble, or nothing is left."""
        del cause
        return False

    def settle(self) -> None:  # noqa: B027 - As above.
        """Called after each transaction of the writer, from `run`."""

    def size_bytes(self) -> int:
        """What the database takes on the disk of the results. Raises OSError."""
        return 0

    def give_back_pages(self, connection: sa.Connection) -> bool:
        """Give some unused room back to the disk; False when there is little left to give."""
        del connection
        return False

    @abstractmethod
    async def close(self) -> None:
        """Idempotent. Nothing may be running on it."""


def refuse_missing(database: str, results: Results | None) -> None:
    """Raise StoreUnusable for an empty database beside results: their queries would be forgotten, and they removed."""
    if results is not None and results.holds_any():
        raise StoreUnusable(
            f"{database} is missing or empty, but {results.root} holds results. Put the database back, or a backup of"
            f" it; or remove {results.root} to begin without queries and results"
        )


def migrate(connection: sa.Connection) -> None:
    """Bring the schema up to date, in one transaction. Raises CommandError for one of a newer version."""
    config = Config()
    config.set_main_option("script_location", "queryengine.store:migrations")
    with connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
