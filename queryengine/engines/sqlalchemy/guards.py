"""What keeps tenants apart who share a role of a database without an adapter of its own.

PostgreSQL has the same guard whichever driver its URL names. Of other databases nothing is known here that would part
tenants, as the documentation of the generic dialect says.
"""

from collections.abc import Callable, Container, Sequence

import sqlalchemy as sa

from queryengine.engines.kit.lexicons import POSTGRESQL
from queryengine.engines.kit.postgresql.guard import Guard
from queryengine.engines.kit.postgresql.roles import refuse_reaching_out
from queryengine.engines.kit.reading import StatementText

CheckText = Callable[[str, Container[str]], None]
"""Raises STATEMENT_NOT_ALLOWED, with its place, for a name that the statement may not use; takes the text, and the
names that it may use all the same."""


def guard_of(backend: str, connection: sa.Connection) -> CheckText:
    """The guard of the database behind a connection. Raises ValueError when its role can do more than any guard
    prevents.
    """
    if backend != "postgresql":
        return _pass

    def ask(sql: str, values: Sequence[str] = ()) -> list[list[bytes | None]]:
        text = sa.text(sql.replace("$1", ":value"))
        rows = connection.execute(text, {"value": values[0]} if values else {})
        return [[None if each is None else str(each).encode() for each in row] for row in rows]

    try:
        refuse_reaching_out(ask, {})
    except ValueError as cause:
        raise ValueError(f"{cause}, which an url that begins with postgresql:// has") from None
    guard = Guard.ask(ask)
    return lambda sql, allowed: guard.check(StatementText.read(sql, POSTGRESQL), allowed)


def _pass(_: str, __: Container[str]) -> None:
    """No guard."""
