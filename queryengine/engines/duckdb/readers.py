"""Which reader function of DuckDB a file gets, by the ending of its name and by the operator's patterns."""

import gzip
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from queryengine.engines.duckdb.file_options import FilePattern

_COMPRESSIONS: Final[Mapping[str, str]] = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader function of DuckDB, and its options as SQL writes them."""

    function: str
    options: tuple[tuple[str, str], ...] = ()

    def with_options(self, *options: tuple[str, str]) -> "Reader":
        """With these in place of its own ones."""
        return Reader(self.function, tuple({**dict(self.options), **dict(options)}.items()))


PARQUET: Final = Reader("read_parquet")
# Otherwise DuckDB leaves lines out at the start, without a word, until the others have equally many columns.
_CSV: Final = Reader("read_csv", (("skip", "0"),))
_JSON: Final = Reader("read_json")
_KINDS: Final[Mapping[str, Reader]] = {"csv": _CSV, "json": _JSON}
_LINES: Final = ("format", "'newline_delimited'")
_ENDINGS: Final[Mapping[str, tuple[str, Reader]]] = {
    ".csv": ("csv", _CSV),
    ".tsv": ("csv", _CSV.with_options(("delim", "'\t'"))),
    ".json": ("json", _JSON),
    ".jsonl": ("json", _JSON.with_options(_LINES)),
    ".ndjson": ("json", _JSON.with_options(_LINES)),
}
_NEITHER: Final[tuple[str, None]] = ("", None)
_UTF_16: Final = ("encoding", "'utf-16'")
_BIG_ENDIAN: Final = b"\xfe\xff"


class Readers:
    """The readers of one folder. Of the patterns that fit a name the first one counts."""

    def __init__(self, patterns: Sequence[FilePattern] = ()) -> None:
        self._patterns = patterns

    def of(self, name: str) -> tuple[str, Reader] | None:
        """The view and the reader for the name of a file; None when it is not data."""
        path, compression = _plain(name)
        if path.suffix.lower() == ".parquet":
            return (path.stem, PARQUET) if not compression else None
        _, reader = _ENDINGS.get(path.suffix.lower(), _NEITHER)
        pattern = self._pattern(name)
        if pattern is not None:
            reader = reader or _KINDS[pattern.kind]
        if reader is None:
            return None
        options = pattern.options if pattern is not None else ()
        return path.stem, reader.with_options(*compression, *options)

    def unused(self, names: Iterable[str]) -> list[FilePattern]:
        """The patterns that decide about none of these files."""
        used = {self._pattern(name) for name in names}
        return [pattern for pattern in self._patterns if pattern not in used]

    def _pattern(self, name: str) -> FilePattern | None:
        """The first one that fits. One for another kind of files does not; nor does it where neither of them has an
        ending that says so: `*` is not to make a view of a README.
        """
        ending = _plain(name)[0].suffix.lower()
        kind, _ = _ENDINGS.get(ending, _NEITHER)
        for pattern in self._patterns:
            names_ending = not kind and ending and pattern.text.lower().endswith(_tails(ending))
            if (pattern.kind == kind or names_ending) and pattern.fits(name):
                return pattern
        return None


def misread(path: str, reader: Reader) -> str:
    """Why DuckDB would read other characters than the file has; empty when it would not. Raises OSError."""
    options = dict(reader.options)
    if _UTF_16 not in options.items():
        return ""
    compression = options.get("compression", "'none'")
    if compression == "'zstd'":
        return "is UTF-16 within zstd, which may be of a kind that DuckDB misreads; save it as UTF-8"
    try:
        with gzip.open(path) if compression == "'gzip'" else Path(path).open("rb") as file:
            start = file.read(len(_BIG_ENDIAN))
    except (gzip.BadGzipFile, EOFError, zlib.error):
        # DuckDB says what is wrong with it.
        return ""
    return "is UTF-16 of the big-endian kind, which DuckDB does not read; save it as UTF-8" * (start == _BIG_ENDIAN)


def _plain(name: str) -> tuple[PurePath, tuple[tuple[str, str], ...]]:
    """The name without the ending of a compression, and what that means to a reader."""
    path = PurePath(name)
    compression = _COMPRESSIONS.get(path.suffix.lower())
    return (PurePath(path.stem), (("compression", f"'{compression}'"),)) if compression is not None else (path, ())


def _tails(ending: str) -> tuple[str, ...]:
    return (ending, *(ending + each for each in _COMPRESSIONS))
