"""What a prompt shows of tables and columns to a caller who may not read the engine's catalog."""

from collections.abc import Iterator
from typing import Final

from queryengine.cli.visible import visible
from queryengine.client import Client, QueryEngineClientError, SubmitOptions
from queryengine.codec.types import ENGINE_TYPE
from queryengine.domain.errors import Reason

CATALOG_REASONS: Final = frozenset({Reason.RELATION_NOT_ALLOWED, Reason.STATEMENT_NOT_ALLOWED})
"""Why a statement about the catalog is refused, as where row and column policies apply."""


class CatalogRefused(Exception):  # noqa: N818 - Named for what happened.
    """Says what the caller may read instead, where the server says so."""

    def __init__(self, error: QueryEngineClientError) -> None:
        readable = error.metadata.get("readable")
        if readable:
            text = f"row and column policies apply here; tables that you may read: {readable}"
        elif readable is not None:
            text = "row and column policies apply here, by which you may read no table"
        else:
            text = "you may not read the catalog of this engine"
        super().__init__(visible(text))


def columns_of(client: Client, table: str, options: SubmitOptions) -> Iterator[str]:
    """A line for each column of a table, as written in SQL, that the caller may read: its name and type."""
    # The caller's own text, with the caller's own rights.
    columns = client.submit(f"SELECT * FROM {table} LIMIT 0", **options).result().to_arrow().schema  # noqa: S608
    width = max(map(len, columns.names), default=0)
    for column in columns:
        own = (column.metadata or {}).get(ENGINE_TYPE, b"").decode()
        yield visible(f"{column.name:<{width}}  {own or column.type}")
