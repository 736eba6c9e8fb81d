"""SQL text as tokens, exactly as the lexer of its engine cuts it.

What a token is decides how many statements a text holds and where its placeholders are, also where no parser of ours
knows the grammar. A lexicon therefore follows its engine to the letter: what is a comment for one must not be a
statement for the other.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from queryengine.domain.errors import Reason, error
from queryengine.engines.kit.sqltext import position_of_character


class Kind(StrEnum):
    WORD = "word"
    QUOTED = "quoted"
    """A name in quotation marks."""
    STRING = "string"
    NUMBER = "number"
    MARK = "mark"
    """A placeholder that the engine's own lexer knows, such as `$1`."""
    SIGN = "sign"
    """One character, or `::`, `:=` and the like where they must not be taken apart."""


class Token(NamedTuple):
    kind: Kind
    text: str
    """As written."""
    start: int
    end: int
    """Behind its last character."""

    def is_sign(self, text: str) -> bool:
        return self.kind is Kind.SIGN and self.text == text

    def is_word(self, *words: str) -> bool:
        """`words` in upper case."""
        return self.kind is Kind.WORD and self.text.upper() in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """The lexical rules of one engine. Patterns are regular expressions in which `.` is any character."""

    space: str
    line_comment: str
    block: str = r"/\*"
    """What begins a comment of several lines."""
    is_nested: bool
    """Such a comment may hold others."""
    string: str
    quoted: str
    opening: str
    """What begins a quotation; one that does not end is an error."""
    word: str
    mark: str
    sign: str
    """Signs of more than one character."""
    name: Callable[[str], str]
    """The name that a quoted one stands for."""

    def pattern(self) -> re.Pattern[str]:
        block = self.block if self.is_nested else rf"{self.block}.*?\*/"
        number = r"0[xX][0-9a-fA-F_]+|(?:[0-9][0-9_]*+(?:\.[0-9_]*+)?|\.[0-9][0-9_]*+)(?:[eE][+-]?[0-9]++)?"
        parts = {
            "space": self.space,
            "line": self.line_comment,
            "block": block,
            "string": self.string,
            "quoted": self.quoted,
            "mark": self.mark,
            "open": rf"{self.opening}|{self.block}",
            "number": number,
            "word": self.word,
            "sign": rf"{self.sign}|." if self.sign else ".",
        }
        return re.compile("|".join(f"(?P<{kind}>{part})" for kind, part in parts.items() if part), re.DOTALL)


class Lexer:
    """Cuts text by one lexicon."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._match = lexicon.pattern().match
        self._in_block = re.compile(rf"{lexicon.block}|\*/")
        self._kinds = {str(kind): kind for kind in Kind}

    def tokens(self, sql: str) -> list[Token]:
        """Without blanks and comments. Raises SYNTAX_ERROR, with its place, for a quotation or a comment that does not
        end.
        """
        if "\0" in sql:
            raise _broken(sql, sql.index("\0"), "the text has a NUL character")
        found: list[Token] = []
        start, end = 0, len(sql)
        while start < end:
            match = self._match(sql, start)
            assert match is not None
            kind = match.lastgroup or ""
            stop = match.end()
            if kind in self._kinds:
                found.append(Token(self._kinds[kind], sql[start:stop], start, stop))
            elif kind == "block" and self._lexicon.is_nested:
                stop = self._end_of_block(sql, stop)
            elif kind == "open":
                stop = -1
            if stop < 0:
                what = "comment" if sql[start] == "/" else "quotation"
                raise _broken(sql, start, f"the {what} that begins here has no end")
            start = stop
        return found

    def name(self, token: Token) -> str:
        """The name that a word or a quoted name is; words as they are written."""
        return self._lexicon.name(token.text) if token.kind is Kind.QUOTED else token.text

    def _end_of_block(self, sql: str, start: int) -> int:
        """Behind the end of a comment that may hold others; negative when it has none."""
        depth = 1
        for each in self._in_block.finditer(sql, start):
            depth += -1 if each.group() == "*/" else 1
            if not depth:
                return each.end()
        return -1


def _broken(sql: str, offset: int, what: str) -> Exception:
    return error(Reason.SYNTAX_ERROR, what, position=position_of_character(sql, offset))
