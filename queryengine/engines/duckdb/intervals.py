"""INTERVALs that Arrow cannot hold, at any depth of a value.

DuckDB multiplies microseconds to nanoseconds on their way to Arrow, and lets the product wrap around.
"""

from typing import Any, Final

from queryengine.engines.duckdb.text import literal

_TOO_LONG: Final = (
    "(abs(hour({0})) > 2562047 OR "
    "(abs(hour({0})) = 2562047 AND abs(minute({0})) * 60000000 + abs(microsecond({0})) > 2836854775))"
)
_MESSAGE: Final = "an INTERVAL of more than 292 years in hours has no Arrow form; CAST it to VARCHAR"


def checked(duckdb_type: Any, value: str) -> str:
    """The SQL expression `value` of a DuckDB type, which fails where it holds an INTERVAL that is too long."""
    too_long = _too_long(duckdb_type, value, 0)
    return f"CASE WHEN {too_long} THEN error({literal(_MESSAGE)}) ELSE {value} END" if too_long else value


def _too_long(duckdb_type: Any, value: str, depth: int) -> str:
    """Whether the value holds such an INTERVAL; empty for a type that has none."""
    kind = duckdb_type.id
    if kind == "interval":
        return _TOO_LONG.format(value)
    if kind in {"list", "array"}:
        inner = duckdb_type.children[0][1]
        return _any_of(inner, value if kind == "list" else f"CAST({value} AS {inner}[])", depth)
    if kind == "map":
        (_, key), (_, item) = duckdb_type.children
        parts = [_any_of(key, f"map_keys({value})", depth), _any_of(item, f"map_values({value})", depth)]
    elif kind in {"struct", "tuple"}:
        parts = [
            _too_long(inner, f"struct_extract({value}, {literal(name) if name else number})", depth)
            for number, (name, inner) in enumerate(duckdb_type.children, 1)
        ]
    else:
        return ""
    found = [f"coalesce({part}, false)" for part in parts if part]
    return f"({' OR '.join(found)})" if found else ""


def _any_of(inner: Any, values: str, depth: int) -> str:
    """The same for a list of values."""
    each = f"each_{depth}"
    too_long = _too_long(inner, each, depth + 1)
    return f"(len(list_filter({values}, lambda {each}: coalesce({too_long}, false))) > 0)" if too_long else ""
