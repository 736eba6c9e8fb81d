"""ClickHouse's names of types, such as Array(Nullable(DateTime64(3, 'UTC'))), as trees."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"\s*(?:'(?P<text>(?:[^'\\]|\\.|'')*)'|`(?P<name>(?:[^`\\]|\\.)*)`|(?P<word>[^\s(),='`]+)|(?P<sign>[(),=]))",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)|''", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}
_Tokens = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Type:
    """A type, or an argument of one: a number, a text, a member."""

    name: str
    arguments: tuple["Type", ...] = ()
    label: str = ""
    """The name of a member of a Tuple, or the number of a member of an Enum."""
    text: bool = False
    """Whether it is a quoted text."""

    @property
    def types(self) -> tuple["Type", ...]:
        return tuple(each for each in self.arguments if not each.text)

    def __str__(self) -> str:
        inner = f"({', '.join(map(str, self.arguments))})" if self.arguments else ""
        return f"{self.label} {self.name}{inner}".strip()


def parse(text: str) -> Type:
    """Raises ValueError for what is no name of a type."""
    tokens = list(_tokens(text))
    found = _argument(tokens)
    if tokens:
        raise ValueError(f"not a type of ClickHouse: {text}")
    return found


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, text = 0, text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"not a type of ClickHouse: {text}")
        kind = str(match.lastgroup)
        found = match.group(kind)
        yield kind, _ESCAPE.sub(_unescaped, found) if kind in ("text", "name") else found
        position = match.end()


def _unescaped(match: re.Match[str]) -> str:
    character = match.group(1)
    return "'" if character is None else _ESCAPED.get(character, character)


def _argument(tokens: _Tokens) -> Type:
    """One type with what stands before it, or one quoted text with what stands behind it. Takes its tokens away."""
    if not tokens or tokens[0][0] == "sign":
        raise ValueError("a name of a type ends too early")
    kind, word = tokens.pop(0)
    if kind == "text":
        number = ""
        if tokens[:1] == [("sign", "=")]:
            tokens.pop(0)
            number = tokens.pop(0)[1] if tokens else ""
        return Type(word, label=number, text=True)
    if tokens and tokens[0][0] in ("word", "name"):
        inner = _argument(tokens)
        return Type(inner.name, inner.arguments, label=word)
    if tokens[:1] == [("sign", "=")]:
        # A parameter of a type, as in JSON(max_dynamic_paths=8).
        tokens.pop(0)
        value = _argument(tokens)
        return Type(value.name, label=word, text=True)
    if tokens[:1] != [("sign", "(")]:
        return Type(word)
    tokens.pop(0)
    arguments = []
    while tokens and tokens[0] != ("sign", ")"):
        arguments.append(_argument(tokens))
        if tokens[:1] == [("sign", ",")]:
            tokens.pop(0)
    if not tokens:
        raise ValueError("a name of a type ends too early")
    tokens.pop(0)
    return Type(word, tuple(arguments))
