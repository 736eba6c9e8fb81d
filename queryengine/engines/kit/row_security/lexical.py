"""Judges texts by the lexer of an engine that has no parser outside of its server.

Sqlglot may read a text otherwise than the engine. What it prints of its tree before tables are replaced must therefore
be the text of the user, token by token: then the engine reads in both the same, whatever that is. And what runs must
name tables, and call functions, only where the tree does.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from queryengine.engines.kit.lexing import Kind, Lexer, Token
from queryengine.engines.kit.row_security.grammar import refused
from queryengine.engines.kit.row_security.reserved import PREFIX
from queryengine.engines.kit.row_security.rewriting import CTE, Rewriter

_NOISE: Final = frozenset({"as", "asc", "inner", "outer"})
"""Words that sqlglot adds or leaves out, and that change nothing where they can stand."""
_SIGNS: Final = {"!=": "<>", "<>": "<>", "==": "="}
_JOINS: Final = frozenset({"all", "anti", "any", "asof", "cross", "full", "global", "left", "right", "semi"})
"""Words before JOIN, whose order does not matter."""
_WITH_FROM: Final = ("EXTRACT", "SUBSTRING", "TRIM", "OVERLAY")
"""Calls that have a FROM between their arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexical:
    """How one dialect writes."""

    engine: str
    lexer: Lexer
    text: Callable[[str], str]
    """The value of a string literal."""
    synonyms: Mapping[str, str]
    """Words that mean the same, in lower case."""
    defaults: frozenset[tuple[str, str]]
    """Pairs of words that say what holds without them."""
    callable: Container[str]
    """What may stand before a parenthesis, in lower case: functions, types and words of the grammar."""


class LexicalJudge:
    """As `securing.Engines`."""

    def __init__(self, rules: Lexical) -> None:
        self._rules = rules

    def same(self, sql: str, printed: str) -> None:
        if self._meaning(sql) != self._meaning(printed):
            raise refused(
                f"{self._rules.engine} may read it otherwise than the part of the service that applies policies; "
                "write it simpler"
            )

    def reads(self, secured: str, rewriter: Rewriter) -> None:
        tokens = self._rules.lexer.tokens(secured)
        self._check_sources(tokens, rewriter)
        self._check_calls(tokens)

    def _meaning(self, sql: str) -> list[str]:
        """The tokens of a text, in one form for what may be written in several."""
        found, number = list[str](), 0
        words = [self._plain(token) for token in self._rules.lexer.tokens(sql) if not token.is_sign(";")]
        while number < len(words):
            first, second = words[number], words[number + 1] if number + 1 < len(words) else ""
            if (first, second) in self._rules.defaults:
                number += 2
            elif first + second in _SIGNS:
                found.append(_SIGNS[first + second])
                number += 2
            else:
                if first not in _NOISE:
                    found.append(first)
                number += 1
        return list(_in_order(found))

    def _plain(self, token: Token) -> str:
        if token.kind is Kind.STRING:
            return "'" + self._rules.text(token.text)
        word = self._rules.lexer.name(token).lower()
        return self._rules.synonyms.get(word, word)

    def _check_sources(self, tokens: Sequence[Token], rewriter: Rewriter) -> None:
        """Behind FROM and JOIN stands a parenthesis, or a name of ours, or one that the rewriting has put there."""
        known = {path[0] for path in (*rewriter.used, *rewriter.open)}
        opened: list[bool] = []
        for number, token in enumerate(tokens[:-1]):
            if token.is_sign("("):
                opened.append(bool(number) and tokens[number - 1].is_word(*_WITH_FROM))
            elif token.is_sign(")"):
                opened.pop()
            former = tokens[number - 1] if number else None
            if not token.is_word("FROM", "JOIN") or (opened and opened[-1]):
                continue
            if former is not None and former.is_word("DISTINCT", "ARRAY"):
                continue
            following = tokens[number + 1]
            name = self._rules.lexer.name(following)
            is_call = following.kind is Kind.WORD and number + 2 < len(tokens) and tokens[number + 2].is_sign("(")
            if not (following.is_sign("(") or name.startswith(CTE) or name in known or is_call):
                raise refused(f"{self._rules.engine} would read {name}, which is not among what the statement reads")

    def _check_calls(self, tokens: Sequence[Token]) -> None:
        for number, token in enumerate(tokens[:-1]):
            if not tokens[number + 1].is_sign("(") or token.kind not in (Kind.WORD, Kind.QUOTED, Kind.STRING):
                continue
            name = self._rules.lexer.name(token)
            former = tokens[number - 1] if number else None
            # Behind AS stands what something is called, and the names of its columns.
            if former is not None and former.is_word("AS"):
                if token.kind is Kind.QUOTED or name.lower() in self._rules.callable:
                    continue
            elif token.kind is Kind.QUOTED and name.startswith(PREFIX):
                continue
            if token.kind is not Kind.WORD or name.lower() not in self._rules.callable:
                raise refused(f"function {name} is not among those that are known to be safe there")


def _in_order(words: Sequence[str]) -> Iterator[str]:
    """With words before JOIN sorted."""
    before: list[str] = []
    for word in words:
        if word in _JOINS:
            before.append(word)
            continue
        yield from sorted(before) if word == "join" else before
        before = []
        yield word
    yield from before
