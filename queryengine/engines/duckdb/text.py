"""Names and text as DuckDB's SQL writes them."""


def identifier(name: str) -> str:
    """A name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Text, quoted."""
    return "'" + text.replace("'", "''") + "'"
