"""What the contract suite knows of an engine, and what is common to all that speak SQL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Reason
from queryengine.engines.base import Engine

HOSTILE_TEXTS = (
    "",
    "it's",
    "'; DROP TABLE t; --",
    '"quoted" \\ back\\slash',
    "$1 :name ? %s %(x)s {x}",
    "/* comment */ -- line",
    "snowman ☃ and \U0001f600 and é",
    "line\nbreak\tand\rreturn",
    "\u202e right to left",
)


@dataclass(frozen=True, kw_only=True)
class EngineCase:
    """One engine, and the SQL in which it does what a test needs."""

    name: str
    adapter: type[Engine]
    options: Callable[[Path], dict[str, Any]]
    """Options of an engine whose data, if it needs any, is made below the path."""
    numbers: Callable[[int], str]
    """The whole numbers from 0 to n-1 in order, in a column n of int64."""
    wide: Callable[[int, int], str]
    """So many rows, each with a text of so many characters."""
    endless_start: str
    """Accepted; its `start` works for hours."""
    endless_rows: str
    """Yields rows for hours."""
    fails_late: str
    """Yields many rows, then fails with `late_reason`."""
    late_reason: Reason
    syntax_error: str
    """Does not parse, on its second line."""
    rejected: str
    """Parses, but names what does not exist."""
    rejected_words: str
    """What the engine says about it."""
    rejected_position: tuple[int, int] | None
    check_parses: bool = True
    """Whether `check` already finds mistakes in the grammar; else only the engine itself does."""
    refused: Sequence[tuple[str, Reason]]
    """Texts that `check` refuses."""
    accepted: Sequence[str]
    """Texts that `check` accepts."""
    named: Callable[[Sequence[str]], str]
    """One row of the named parameters."""
    positional: Callable[[int], str] | None
    """One row of so many positional parameters; None where traits deny them."""
    values: Sequence[Any]
    """Parameter values that come back as they are, beside texts."""
    refused_value: BoundParameter
    """A parameter that the engine cannot hold exactly."""
    repeats_names: str
    """Columns named `a`, `a` and `ü "x`."""
    no_columns: Sequence[str] = ()
    """Texts that `check` accepts, and whose result has no columns."""
    unusable: Callable[[Path], dict[str, Any]]
    """Options that name what is not there; the path is empty, and stays so."""
    unusable_words: str
    """What the failure then says."""
    running: Callable[[], int] | None = None
    """How many statements the engine itself says it runs for us; None for one that computes in this process."""

    def open(self, directory: Path) -> Engine:
        return self.adapter(self.name, self.options(directory))


COMMON_REFUSED = (
    ("", Reason.NOT_ONE_STATEMENT),
    ("-- nothing", Reason.NOT_ONE_STATEMENT),
    ("SELECT 1; SELECT 2", Reason.NOT_ONE_STATEMENT),
    ("SELECT 1; DROP TABLE t", Reason.NOT_ONE_STATEMENT),
    ("SELEC 1", Reason.SYNTAX_ERROR),
    ("SELECT (1", Reason.SYNTAX_ERROR),
    ("SELECT 'abc", Reason.SYNTAX_ERROR),
    ("INSERT INTO t VALUES (1)", Reason.STATEMENT_NOT_ALLOWED),
    ("UPDATE t SET a = 1", Reason.STATEMENT_NOT_ALLOWED),
    ("DELETE FROM t", Reason.STATEMENT_NOT_ALLOWED),
    ("DROP TABLE t", Reason.STATEMENT_NOT_ALLOWED),
    ("CREATE TABLE x AS SELECT 1", Reason.STATEMENT_NOT_ALLOWED),
    ("ALTER TABLE t ADD COLUMN b INTEGER", Reason.STATEMENT_NOT_ALLOWED),
    ("ATTACH 'x.db' AS x", Reason.STATEMENT_NOT_ALLOWED),
    ("PRAGMA user_version", Reason.STATEMENT_NOT_ALLOWED),
    ("VACUUM", Reason.STATEMENT_NOT_ALLOWED),
    ("BEGIN", Reason.STATEMENT_NOT_ALLOWED),
    ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", Reason.STATEMENT_NOT_ALLOWED),
    ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", Reason.STATEMENT_NOT_ALLOWED),
)
COMMON_ACCEPTED = (
    "SELECT 1",
    "select 1;",
    "-- words\nSELECT 1 -- more",
    "WITH x AS (SELECT 1 AS a) SELECT * FROM x",
    "SELECT 1 UNION ALL SELECT 2",
    "(SELECT 1)",
    "VALUES (1, 2)",
    "SELECT 'delete from t; insert' AS \"update\"",
)
