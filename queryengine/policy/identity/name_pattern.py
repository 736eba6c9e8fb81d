"""Patterns of names: text with placeholders, such as `spiffe://example.org/ns/{tenant}/sa/{subject}`.

Everything outside of braces stands for itself and the whole name must match. A placeholder takes letters, digits and
`. _ - @`, at least one, up to the character that follows it in the pattern, so there is one way to read a name and it
is read from left to right once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

NAME_CHARACTERS_MAX: Final = 2048
"""Of a name that is matched at all, which is the longest SPIFFE id."""

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TAKEN: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@"
_VALUE_CHARACTERS_MAX: Final = 128


@dataclass(frozen=True, slots=True)
class NamePattern:
    """One pattern. Two with the same text are equal."""

    text: str
    placeholders: tuple[str, ...] = field(init=False)
    _expression: re.Pattern[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError that says what is wrong with the text."""
        parts = _PLACEHOLDER.split(self.text)
        literals, names = parts[::2], parts[1::2]
        if not self.text:
            raise ValueError("a pattern must not be empty")
        if any("{" in each or "}" in each for each in literals):
            raise ValueError("a brace must be one of a placeholder such as {tenant}")
        for name in names:
            if _KEY.fullmatch(name) is None:
                raise ValueError(f"{{{name}}} must be named by lower-case letters, digits and _")
        if len(set(names)) < len(names):
            raise ValueError("a placeholder may stand once in a pattern")
        if "" in literals[1:-1]:
            raise ValueError("two placeholders need text between them")
        object.__setattr__(self, "placeholders", tuple(names))
        object.__setattr__(self, "_expression", _expression(literals, names))

    def match(self, name: str) -> Mapping[str, str] | None:
        """What the placeholders take of a name; None for one that does not match."""
        if len(name) > NAME_CHARACTERS_MAX:
            return None
        found = self._expression.fullmatch(name)
        return None if found is None else found.groupdict()


def _expression(literals: list[str], names: list[str]) -> re.Pattern[str]:
    parts = [re.escape(literals[0])]
    for name, literal in zip(names, literals[1:], strict=True):
        # Without the character that follows, no text can be divided in two ways, and nothing is tried twice.
        taken = re.escape(_TAKEN.replace(literal[:1], "") if literal else _TAKEN)
        parts.append(f"(?P<{name}>[{taken}]{{1,{_VALUE_CHARACTERS_MAX}}}){re.escape(literal)}")
    return re.compile("".join(parts))
