"""Where a statement has its placeholders, found among its tokens: never inside of strings, names and comments."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from queryengine.domain.errors import Reason, error
from queryengine.engines.kit.lexing import Kind, Token
from queryengine.engines.kit.reading import Placeholder, StatementText

_NAME: Final = re.compile(r"(?:[^\W\d]|[^\x00-\x7f\s])(?:[\w$]|[^\x00-\x7f\s])*")
"""Letters of every language; the engine's own lexer may know fewer."""
_OPERAND_ENDS: Final = frozenset({Kind.NUMBER, Kind.STRING, Kind.QUOTED, Kind.MARK})
_OPERATORS: Final = frozenset(
    {"AND", "BETWEEN", "BY", "CASE", "ELSE", "ILIKE", "IN", "IS", "LIKE", "NOT", "OR", "SELECT", "THEN", "WHEN"}
)
"""Words behind which a value is due, so that a colon after them begins a placeholder."""


def by_colon(query: StatementText) -> list[Placeholder]:
    """Those of the form `:name`, with any name that begins with a letter, words of SQL included.

    Other uses of a colon are known by what stands before it: a value, a closing bracket, or a name without a blank, as
    in the path `v:a` and the slice `x[1:n]`. Inside of square brackets the name may have a blank behind it.
    """
    found: list[Placeholder] = []
    opened: list[str] = []
    end = 0
    for number, token in enumerate(query.tokens):
        if token.kind is not Kind.SIGN or token.start < end:
            continue
        if token.text in "([{":
            opened.append(token.text)
        elif token.text in ")]}":
            opened.pop()
        elif token.text == ":":
            name = _NAME.match(query.sql, token.end)
            former = query.tokens[number - 1] if number else None
            if name and not _is_other_colon(former, token, is_in_slice=opened[-1:] == ["["]):
                end = name.end()
                found.append(Placeholder(name.group(), token.start, end))
    return found


def by_question_mark(query: StatementText) -> list[Placeholder]:
    """Each `?` by its number, but for those in the pattern of MATCH_RECOGNIZE."""
    marks = [token for token in _outside_patterns(query.tokens) if token.is_sign("?")]
    return [Placeholder(str(number), token.start, token.end) for number, token in enumerate(marks, 1)]


def by_number(query: StatementText) -> list[Placeholder]:
    """Those of the form `$1`, which may repeat."""
    marks = (token for token in query.tokens if token.kind is Kind.MARK)
    return [Placeholder(token.text[1:].lstrip("0") or "0", token.start, token.end) for token in marks]


def of_one_kind(*kinds: Sequence[Placeholder]) -> list[Placeholder]:
    """The placeholders of the one kind that a statement uses. Raises PARAMETER_MISMATCH when it uses several."""
    used = [kind for kind in kinds if kind]
    if len(used) > 1:
        raise error(Reason.PARAMETER_MISMATCH, "placeholders are all named or all positional")
    return list(used[0]) if used else []


def names(placeholders: Sequence[Placeholder]) -> frozenset[str]:
    return frozenset(each.name for each in placeholders)


def _is_other_colon(former: Token | None, colon: Token, *, is_in_slice: bool) -> bool:
    if former is None:
        return False
    if former.kind is not Kind.WORD:
        # Two values never stand side by side.
        return former.kind in _OPERAND_ENDS or former.text in {")", "]"}
    # What stands right before it is no operator, whatever it is called: `x:a`.
    return former.end == colon.start or (is_in_slice and former.text.upper() not in _OPERATORS)


def _outside_patterns(tokens: Sequence[Token]) -> Iterator[Token]:
    depth = 0
    former: Token | None = None
    for token in tokens:
        if depth:
            depth += token.is_sign("(") - token.is_sign(")")
        elif token.is_sign("(") and former is not None and former.is_word("PATTERN"):
            depth = 1
        else:
            yield token
        former = token
