"""Types that a statement may cast to where policies apply, by sqlglot's names: a text becomes a value, and no name of a
table, a function or a role.
"""

from typing import Final

PLAIN: Final = frozenset(
    {
        "BIGINT",
        "BOOLEAN",
        "CHAR",
        "DATE",
        "DECIMAL",
        "DOUBLE",
        "FLOAT",
        "INT",
        "INTERVAL",
        "JSON",
        "JSONB",
        "SMALLINT",
        "TEXT",
        "TIME",
        "TIMESTAMP",
        "TIMESTAMPTZ",
        "UUID",
        "VARBINARY",
        "VARCHAR",
    }
)
WIDE: Final = frozenset({"HUGEINT", "INT128", "TINYINT", "UBIGINT", "UINT", "USMALLINT", "UTINYINT", "UINT128", "BLOB"})
NESTED: Final = frozenset({"ARRAY", "LIST"})


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())
