"""How files of a folder are read where DuckDB's own guess is not right: options for each pattern of file names.

They are checked here, so that a mistake is an error of the configuration and not of whoever reads the view.
"""

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import duckdb

from queryengine.engines.base import OptionError
from queryengine.engines.duckdb.text import key_of, literal

Sql: TypeAlias = str
Parse: TypeAlias = Callable[[Any], Sql]
"""The value as SQL writes it. Raises ValueError with what was expected."""


@dataclass(frozen=True, slots=True)
class FilePattern:
    """The options of the files whose names fit a pattern, as `*`, `?` and `[…]` make one."""

    kind: str
    """Of files, csv or json."""
    text: str
    options: tuple[tuple[str, Sql], ...]
    """Of DuckDB's reader function."""

    def fits(self, name: str) -> bool:
        """Whether a file has such a name, whatever the case of ASCII letters."""
        return key_of(self.text) == key_of(name) or fnmatch.fnmatchcase(key_of(name), key_of(self.text))


def parse_patterns(kind: str, value: Any) -> tuple[FilePattern, ...]:
    """The patterns of the option `csv` or `json`, in their order. Raises OptionError."""
    patterns = []
    for text, options in _mapping((kind,), value, "of file patterns, such as '*.csv', to options").items():
        keys = (kind, text)
        if not text or "/" in text:
            raise OptionError(keys, f"must be a pattern of file names in the folder itself, not {text!r}")
        parsed = _mapping(keys, options, f"of options: {', '.join(_OPTIONS[kind])}")
        patterns.append(FilePattern(kind, text, tuple(_parsed(kind, text, parsed))))
    return tuple(patterns)


def _mapping(keys: tuple[str, ...], value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise OptionError(keys, f"must be a mapping {what}")
    return value


def _parsed(kind: str, pattern: str, options: Mapping[str, Any]) -> list[tuple[str, Sql]]:
    known = _OPTIONS[kind]
    parsed = []
    for name, value in options.items():
        keys = (kind, pattern, name)
        if name not in known:
            raise OptionError(keys, f"unknown for {kind} files; known: {', '.join(known)}")
        try:
            parsed.append((_PARAMETERS.get(name, name), known[name](value)))
        except ValueError as cause:
            raise OptionError(keys, str(cause)) from cause
    for one, other in _DIFFERENT:
        if options.get(one) and options.get(one) == options.get(other):
            raise OptionError((kind, pattern, one), f"must differ from {other!r}")
    return parsed


def _text(least: int, most: int) -> Parse:
    """Text of so many bytes."""

    def parse(value: Any) -> Sql:
        if not isinstance(value, str) or not least <= len(value.encode()) <= most or {"\n", "\r", "\0"} & set(value):
            size = f"of at most {most} bytes" if most > 1 else "of one byte"
            raise ValueError(f"must be text {size}{'' if least else ', or empty for none'}")
        return literal(value)

    return parse


def _one_of(*words: str) -> Parse:
    def parse(value: Any) -> Sql:
        if not isinstance(value, str) or value.lower() not in words:
            raise ValueError(f"must be one of {', '.join(words)}, not {value!r}")
        return literal(value.lower())

    return parse


def _flag(value: Any) -> Sql:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - A wrong option is a ValueError.
    return str(value).lower()


def _lines(least: int, *, or_all: bool = False) -> Parse:
    def parse(value: Any) -> Sql:
        if type(value) is not int or not (least <= value < 1 << 31 or (or_all and value == -1)):
            raise ValueError(f"must be a whole number from {least}{', or -1 for the whole file' if or_all else ''}")
        return str(value)

    return parse


def _texts(value: Any) -> Sql:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError("must be text, or a list of texts")
    return f"[{', '.join(map(literal, texts))}]"


def _types(value: Any) -> Sql:
    if not isinstance(value, Mapping) or not value or not all(isinstance(column, str) for column in value):
        raise ValueError("must be a mapping of column names to types, such as {id: BIGINT}")
    with duckdb.connect() as parser:
        for column, type_name in value.items():
            try:
                parser.dtype(type_name)
            except (duckdb.Error, TypeError) as cause:
                raise ValueError(f"{type_name!r} of column {column!r} is not a type of DuckDB") from cause
    return f"{{{', '.join(f'{literal(column)}: {literal(name)}' for column, name in value.items())}}}"


def _time_format(value: Any) -> Sql:
    if not isinstance(value, str):
        raise ValueError("must be a format such as %d/%m/%Y")  # noqa: TRY004 - As above.
    with duckdb.connect() as parser:
        try:
            parser.execute("SELECT try_strptime('', ?)", [value])
        except duckdb.Error as cause:
            raise ValueError(f"{value!r} is not a format such as %d/%m/%Y") from cause
    return literal(value)


_COMMON: Final[Mapping[str, Parse]] = {
    "dateformat": _time_format,
    "timestampformat": _time_format,
    "sample_size": _lines(1, or_all=True),
    "compression": _one_of("none", "gzip", "zstd"),
}
_OPTIONS: Final[Mapping[str, Mapping[str, Parse]]] = {
    "csv": {
        "delimiter": _text(1, 4),
        "quote": _text(0, 1),
        "escape": _text(0, 1),
        "header": _flag,
        "names": _texts,
        "skip": _lines(0),
        "nullstr": _texts,
        "types": _types,
        "decimal_separator": _one_of(".", ","),
        "encoding": _one_of("utf-8", "utf-16", "latin-1"),
        **_COMMON,
    },
    "json": {
        "format": _one_of("auto", "newline_delimited", "array", "unstructured"),
        "columns": _types,
        **_COMMON,
    },
}
_PARAMETERS: Final[Mapping[str, str]] = {"delimiter": "delim"}
"""DuckDB's name of an option where it is another one."""
_DIFFERENT: Final = (("quote", "delimiter"), ("escape", "delimiter"), ("decimal_separator", "delimiter"))
