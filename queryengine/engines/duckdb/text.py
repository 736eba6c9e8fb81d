"""Names and text as DuckDB's SQL writes them."""


def identifier(name: str) -> str:
    """A name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Text, quoted."""
    return "'" + text.replace("'", "''") + "'"


def key_of(name: str) -> str:
    """What names have in common that are the same name to DuckDB: it ignores the case of ASCII letters only."""
    return name.encode(errors="surrogateescape").lower().decode(errors="surrogateescape")


def file_pattern(path: str) -> str:
    """A relative path as a reader function takes it: what would be a wildcard, or the start of an address or of a home
    directory, stands for itself.
    """
    return "./" + "".join(f"[{character}]" if character in "*?[" else character for character in path)
