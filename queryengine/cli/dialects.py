"""What a prompt has to know of an engine: where a statement ends, and how to ask for tables and columns."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from queryengine.client import EngineInfo
from queryengine.domain.errors import QueryEngineError
from queryengine.engines.kit import lexicons
from queryengine.engines.kit.lexing import Lexer

TABLES: Final = (
    "SELECT table_schema, table_name, table_type FROM information_schema.tables "
    "WHERE table_schema NOT IN ('information_schema', 'INFORMATION_SCHEMA', 'pg_catalog', 'system') "
    "ORDER BY table_schema, table_name"
)
COLUMNS: Final = (
    "SELECT column_name, data_type, is_nullable FROM information_schema.columns "
    "WHERE table_name = {table} ORDER BY table_schema, ordinal_position"
)
_PART: Final = re.compile(r'"([^"]+)"|`([^`]+)`|([^.]+)')
"""A part of a name, in quotation marks or up to the next point."""
COLUMNS_IN_SCHEMA: Final = COLUMNS.replace("{table}", "{table} AND table_schema = {schema}")


@dataclass(frozen=True, slots=True)
class Dialect:
    """SQL for questions about the engine. `{table}` and `{schema}` stand for text in quotation marks, `{name}` for the
    name as an identifier.
    """

    lexer: Lexer
    tables: str = TABLES
    columns: str = COLUMNS
    columns_in_schema: str = COLUMNS_IN_SCHEMA

    def describe(self, name: str) -> str:
        """SQL that lists the columns of a table, which may be written as schema.table, in quotation marks or not."""
        parts = [next(filter(None, found), "") for found in _PART.findall(name)] or [name]
        table, schema = _text(parts[-1]), _text(".".join(parts[:-1]))
        template = self.columns_in_schema if parts[1:] else self.columns
        return template.format(table=table, schema=schema, name=_identifier(parts))

    def statements(self, text: str) -> list[str] | None:
        """The statements of a text, without their `;`; None when the last of them is not at its end."""
        try:
            tokens = self.lexer.tokens(text)
        except QueryEngineError:
            # A quotation or a comment goes on in the next line.
            return None
        if tokens and not tokens[-1].is_sign(";"):
            return None
        found, start = [], 0
        for number, token in enumerate(tokens):
            if token.is_sign(";"):
                if number and not tokens[number - 1].is_sign(";"):
                    found.append(text[start : token.start].strip())
                start = token.end
        return found


def _identifier(parts: list[str]) -> str:
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


SQLITE: Final = Dialect(
    lexicons.SQLITE,
    "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name",
    "SELECT sql FROM sqlite_schema WHERE name = {table}",
    "SELECT sql FROM sqlite_schema WHERE name = {table}",
)
"""Its pragmas are refused by the service, but its schema holds each CREATE statement."""
SPARK: Final = Dialect(lexicons.SPARK, "SHOW TABLES", "DESCRIBE {name}", "DESCRIBE {name}")

DIALECTS: Final[Mapping[str, Dialect]] = {
    "SQLite": SQLITE,
    "Spark": SPARK,
    "ClickHouse": Dialect(lexicons.CLICKHOUSE),
    "Trino": Dialect(lexicons.TRINO),
}
"""By product; what is not here is read as PostgreSQL, which DuckDB follows."""


def dialect_of(engine: EngineInfo | None) -> Dialect:
    """By what the engine says it is; its version begins with the name of the product."""
    product = engine.detail.partition(" ")[0] if engine is not None else ""
    return DIALECTS.get(product, Dialect(lexicons.POSTGRESQL))
