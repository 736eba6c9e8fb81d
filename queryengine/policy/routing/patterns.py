"""Patterns of names in rules: `*` stands for any characters, everything else for itself."""

import re
from collections.abc import Iterable
from typing import Final

from queryengine.domain.analysis import Name

_PART: Final = re.compile(r'"((?:[^"]|"")*)"|[^."]+')


class Names:
    """Some patterns of plain names, such as those of tenants; case counts unless `folded`."""

    def __init__(self, patterns: Iterable[str], *, folded: bool = False) -> None:
        self._fold = str.lower if folded else str
        texts = [self._fold(each) for each in patterns]
        self._plain = {each: each for each in texts if "*" not in each}
        self._expressions = [(each, _expression(each)) for each in texts if "*" in each]

    def of(self, name: str) -> str | None:
        """The first pattern that a name matches."""
        folded = self._fold(name)
        if folded in self._plain:
            return folded
        return next((text for text, expression in self._expressions if expression.fullmatch(folded)), None)


class Tables:
    """Some patterns of tables, as `sales.*`: parts match from the end, so that a name with a catalog matches a pattern
    without one. Case does not count. A part in double quotes may have points in it.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [(text, [_expression(part) for part in parts_of(text.lower())]) for text in patterns]

    def of(self, table: Name) -> str | None:
        """The first pattern that a table matches."""
        parts = tuple(map(str.lower, table))
        for text, expressions in self._patterns:
            last = parts[-len(expressions) :]
            if len(last) == len(expressions) and all(
                expression.fullmatch(part) for expression, part in zip(expressions, last, strict=True)
            ):
                return text
        return None


def parts_of(pattern: str) -> list[str]:
    """The parts of a pattern of tables. Raises ValueError."""
    parts, at = list[str](), 0
    while True:
        found = _PART.match(pattern, at)
        if found is None:
            raise ValueError(f"{pattern!r} is no pattern of tables; expected one as sales.* or sales.orders")
        parts.append(found.group() if found[1] is None else found[1].replace('""', '"'))
        at = found.end()
        if at == len(pattern):
            return parts
        if pattern[at] != ".":
            raise ValueError(f"{pattern!r} is no pattern of tables; expected one as sales.* or sales.orders")
        at += 1


def _expression(pattern: str) -> re.Pattern[str]:
    # Atomic steps from star to star: no text is tried in two ways.
    pieces = re.sub(r"\*+", "*", pattern).split("*")
    first, *rest = [re.escape(piece) for piece in pieces]
    steps = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    return re.compile(first + steps + (f".*{rest[-1]}" if rest else ""), re.DOTALL)
