"""How large a statement is and which kinds of statements it holds, from its tokens, whatever the dialect."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from queryengine.domain.analysis import KINDS, Measures
from queryengine.engines.kit.lexing import Kind, Token

_NOTHING: Final = Token(Kind.SIGN, "", 0, 0)
_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")
_QUERY: Final = frozenset({"FROM", "SELECT", "TABLE", "VALUES", "WITH"})
_AFTER_TABLES: Final = frozenset(
    {"EXCEPT", "FETCH", "GROUP", "HAVING", "INTERSECT", "LIMIT", "MINUS", "OFFSET", "ORDER", "PREWHERE", "QUALIFY"}
    | {"SELECT", "UNION", "WHERE", "WINDOW"}
)
"""What ends the list of tables behind FROM."""
_SET_OPERATIONS: Final = frozenset({"EXCEPT", "INTERSECT", "MINUS", "UNION"})
_BEHIND_OPERATION: Final = frozenset({"ALL", "BY", "CORRESPONDING", "DISTINCT"}) | _QUERY
_BEFORE_VALUE: Final = ("AND", "AS", "BY", "DISTINCT", "ELSE", "NOT", "ON", "OR", "SELECT", "THEN", "WHEN", "WHERE")
_COUNTED: Final = _AFTER_TABLES | _SET_OPERATIONS | {"CASE", "END", "FROM", "JOIN"}


@dataclass(slots=True)
class _Level:
    """What stands between a pair of brackets, or outside of all."""

    is_list: bool = False
    items: int = 1
    has_tables: bool = False
    """Commas stand between tables."""


def measured(tokens: Sequence[Token]) -> Measures:
    """The measures of one statement."""
    levels, cases = [_Level()], 0
    depth = joins = set_operations = list_items = 0
    before, former = _NOTHING, _NOTHING
    for token, following in pairwise([*tokens, _NOTHING]):
        text = token.text
        if token.kind is Kind.SIGN:
            if text in _OPENING:
                is_list = text == "[" or (former.is_word("IN") and following.text.upper() not in _QUERY)
                levels.append(_Level(is_list=is_list))
                depth = max(depth, len(levels) - 1 + cases)
            elif text in _CLOSING:
                # A text that is no bracket's counterpart is refused elsewhere.
                level = levels.pop() if len(levels) > 1 else levels[0]
                list_items = max(list_items, level.items if level.is_list and former.text not in _OPENING else 0)
            elif text == ",":
                levels[-1].items += 1
                joins += levels[-1].has_tables
        elif token.kind is Kind.WORD and (word := text.upper()) in _COUNTED:
            if word == "CASE":
                cases += 1
                depth = max(depth, len(levels) - 1 + cases)
            elif word == "END":
                cases = max(0, cases - 1)
            elif word == "JOIN":
                joins += 1
            elif word == "FROM":
                # `IS DISTINCT FROM` compares.
                levels[-1].has_tables = not former.is_word("DISTINCT") or before.is_word("SELECT")
            else:
                levels[-1].has_tables = False
                set_operations += word in _SET_OPERATIONS and _is_operation(former, token, following)
        before, former = former, token
    return Measures(depth, joins, set_operations, list_items)


def _is_operation(former: Token, token: Token, following: Token) -> bool:
    """`* EXCEPT (a)` leaves out columns, and MINUS may be a name."""
    if token.is_word("MINUS"):
        is_value = former.kind is not Kind.SIGN or former.text == ")"
        if not is_value or following.is_word("FROM") or former.is_word(*_BEFORE_VALUE):
            return False
    is_query = following.is_sign("(") or (following.kind is Kind.WORD and following.text.upper() in _BEHIND_OPERATION)
    return is_query and not former.is_sign("*")


def kinds_in(tokens: Sequence[Token], *, reserved: bool = False) -> frozenset[str]:
    """The kinds of the statement and of those inside of it; too many rather than too few. `reserved` says that the
    words they begin with are no names in this dialect, so that they count wherever they stand.
    """
    found, former = set[str](), _NOTHING
    for token, following in pairwise([*tokens, _NOTHING]):
        kind = KINDS.get(token.text.upper()) if token.kind is Kind.WORD else None
        if kind is not None and (kind == "SELECT" or _begins(former, token, following, reserved=reserved)):
            found.add(kind)
        former = token
    return frozenset(found)


def _begins(former: Token, token: Token, following: Token, *, reserved: bool) -> bool:
    """Whether a statement of another kind than SELECT may begin with this word."""
    if former is _NOTHING or (reserved and not token.is_word("DESC")):
        return True
    is_first = former.is_sign("(") or former.is_word("ANALYZE", "EXPLAIN")
    return is_first and (following.kind is not Kind.SIGN or following.is_sign("("))
