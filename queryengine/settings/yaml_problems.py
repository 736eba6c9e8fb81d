"""What is wrong with the YAML of a file, as one sentence with a place. Nothing of the text is repeated but single
characters: an alias *name and a tag !name may be a password that was to stand in quotation marks.
"""

import re
from dataclasses import dataclass
from typing import Final

from yaml import MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

_QUOTE: Final = "put a value that begins with {} in quotation marks"
_UNKNOWN: Final = "this cannot be read; check indentation, brackets and quotation marks"


@dataclass(frozen=True, slots=True)
class Problem:
    """Lines and columns count from 1."""

    line: int
    column: int
    sentence: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the parser says, and what we do. `{0}` is what its pattern found in brackets."""

    said: re.Pattern[str]
    sentence: str
    is_at_beginning: bool = False
    """Whether the place is where the broken part begins, and not where the parser gave up."""


def _kind(said: str, sentence: str, *, is_at_beginning: bool = False) -> _Kind:
    return _Kind(re.compile(said, re.DOTALL), sentence, is_at_beginning)


_KINDS: Final = (
    _kind(r"found character '\\t'", "a tab stands where only spaces may; indent with spaces"),
    _kind(r"found character '(.)' that cannot start", _QUOTE.format("{0}")),
    _kind(r"could not find expected ':'", "this line needs a `:` and a space behind its key", is_at_beginning=True),
    _kind(r"sequence entries are not allowed", "an item `- ` of a list must begin on a line of its own"),
    _kind(
        r"mapping (keys|values) are not allowed",
        "a key is not expected here; check the indentation, that the line above ends with `:`, and that a value with "
        "`: ` in it is in quotation marks",
    ),
    _kind(r"^while scanning a directive|YAML directive|incompatible YAML|tag handle", _QUOTE.format("% or !")),
    _kind(
        r"^while scanning an (alias|anchor)|undefined alias|duplicate anchor",
        _QUOTE.format("* or &"),
        is_at_beginning=True,
    ),
    _kind(
        r"^while (scanning|parsing) a tag|could not determine a constructor", _QUOTE.format("!"), is_at_beginning=True
    ),
    _kind(
        r"^while scanning a block scalar", "only `+`, `-` or a digit may stand behind | or >; a text begins below it"
    ),
    _kind(r"unknown escape character", r"a backslash in double quotation marks is written \\; or use single ones"),
    _kind(r"expected escape sequence", "an escape in double quotation marks lacks some of its hexadecimal digits"),
    _kind(r"^while scanning a quoted scalar", "the quotation that begins here is not closed", is_at_beginning=True),
    _kind(r"expected ',' or '\]'", "the [ that opens here is not closed, or lacks a comma", is_at_beginning=True),
    _kind(r"expected ',' or '}'", "the { that opens here is not closed, or lacks a comma", is_at_beginning=True),
    _kind(r"<block end>, but found '([}\]])'", "a {0} closes nothing here"),
    _kind(r"<block end>, but found '<scalar>'", "a text stands behind a value that has ended; quote the whole value"),
    _kind(
        r"^while parsing a block collection.*but found",
        "this line is no item `- ` of the list above it; check the indentation",
    ),
    _kind(r"<block end>, but found", "this line fits neither beside nor below the line above; check the indentation"),
    _kind(r"found '<stream end>'", "the file ends where a value is expected; a bracket may not be closed"),
    _kind(r"expected the node content", "a value is expected here"),
    _kind(r"<document start>", "nothing may stand behind the bracket that closes all"),
    _kind(r"another document", "the file has a second document; remove the line ---"),
    _kind(r"for merging", "`<<` takes keys with values, or a list of such"),
    _kind(r"unhashable key", "a key must be text"),
)


def problem_of(error: YAMLError, text: str) -> Problem:
    """The first thing that is wrong with a text."""
    if isinstance(error, ReaderError):
        before = text[: error.position]
        column = error.position - (before.rfind("\n") + 1) + 1
        return Problem(
            before.count("\n") + 1, column, f"the character U+{ord(text[error.position]):04X} is not allowed"
        )
    if not isinstance(error, MarkedYAMLError):
        return Problem(1, 1, _UNKNOWN)
    said = f"{error.context or ''} {error.problem or ''}".strip()
    for kind in _KINDS:
        found = kind.said.search(said)
        if found is not None:
            mark = error.context_mark if kind.is_at_beginning and error.context_mark else error.problem_mark
            return _at(mark, kind.sentence.replace("{0}", (found.groups() or ("",))[0] or ""))
    return _at(error.problem_mark or error.context_mark, _UNKNOWN)


def _at(mark: object, sentence: str) -> Problem:
    line, column = getattr(mark, "line", 0), getattr(mark, "column", 0)
    return Problem(line + 1, column + 1, sentence)
