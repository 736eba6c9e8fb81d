"""Lists of texts as PostgreSQL reads them, where a driver binds texts alone."""

from collections.abc import Iterable


def array_of(texts: Iterable[str]) -> str:
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in escaped) + "}"
