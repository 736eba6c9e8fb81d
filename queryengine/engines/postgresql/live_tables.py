"""The tables and views of a database, as the catalog of PostgreSQL has them."""

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

from queryengine.domain.live_table import AskedTable, LiveColumn, LiveTable
from queryengine.engines.postgresql.arrays import array_of

_COLUMNS: Final = """
SELECT n.nspname::text, c.relname::text,
c.relrowsecurity AND ($3 = 'many' OR pg_catalog.row_security_active(c.oid)), a.attname::text,
pg_catalog.format_type(a.atttypid, a.atttypmod),
t.typname IN ('text', 'varchar') AND coalesce(l.collisdeterministic, true)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type d ON d.oid = a.atttypid
JOIN pg_catalog.pg_type t ON t.oid = CASE WHEN d.typtype = 'd' THEN d.typbasetype ELSE d.oid END
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname = ANY ($1::text[]) AND c.relname = ANY ($2::text[])
ORDER BY 1, 2
"""

Ask = Callable[[str, Sequence[str]], list[list[bytes | None]]]


def live_tables(tables: Sequence[AskedTable], ask: Ask, *, is_one_role: bool) -> list[LiveTable | None]:
    """As `Engine.live_tables`. `is_one_role`: statements run in the role that asks. Raises what `ask` raises."""
    schemas, names = (array_of({each.path[part] for each in tables}) for part in (-2, -1))
    answer = ask(_COLUMNS, (schemas, names, "one" if is_one_role else "many"))
    rows = [[(value or b"").decode() for value in row] for row in answer]
    found = {path: list(group) for path, group in groupby(rows, itemgetter(0, 1))}
    return [_of(each, found.get(each.path[-2:])) for each in tables]


def _of(asked: AskedTable, rows: list[list[str]] | None) -> LiveTable | None:
    if rows is None:
        return None
    columns = [LiveColumn(name, kind, is_text == "t") for _, _, _, name, kind, is_text in rows]
    return LiveTable.of(asked, columns, is_filtered=rows[0][2] == "t")
