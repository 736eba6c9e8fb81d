"""One YAML file as data, with the line of every key in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from queryengine.settings.errors import SettingsError
from queryengine.settings.yaml_problems import problem_of

Key = tuple[str, ...]
"""The way to a value: names of keys, and numbers of items in lists from 0 on."""
Lines = dict[Key, int]

CHARACTERS_MAX: Final = 80
"""Of a value that is not understood; a longer one is described by its length."""
_KINDS: Final = {"int": "a whole number", "float": "a number", "timestamp": "a date", "binary": "binary data"}


def read(path: str) -> tuple[dict[str, Any], Lines]:
    """Raises SettingsError."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as cause:
        raise SettingsError(f"{path}: cannot be read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        line = cause.object[: cause.start].count(b"\n") + 1
        raise SettingsError(f"{path}:{line}: the file is not UTF-8 text") from cause
    try:
        root = yaml.compose(text, Loader=_Loader)
        lines = _lines(root, path)
        data = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as cause:
        found = problem_of(cause, text)
        raise SettingsError(f"{path}:{found.line}: not YAML in column {found.column}: {found.sentence}") from cause
    except _UnreadableValue as cause:
        mark = cause.node.start_mark
        keys = [key for key, _, at in _keys(root, ()) if at.start_mark.index == mark.index and not key[-1].isdecimal()]
        name = f"{'.'.join(keys[0])}: " if keys else ""
        raise SettingsError(f"{path}:{mark.line + 1}: {name}{cause}") from cause
    except RecursionError as cause:
        raise SettingsError(f"{path}: nested too deeply, or an alias in its own anchor") from cause
    if data is None:
        return {}, {}
    if not isinstance(data, dict):
        raise SettingsError(f"{path}:1: expected keys such as server: and engines:")
    return data, lines


class _Loader(yaml.SafeLoader):
    """Names the place of a value that it cannot make, as of the date 2024-99-99 or an integer of 5,000 digits."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError, AttributeError) as cause:
            # Not the value itself: it may be a password.
            kind, length = node.tag.rpartition(":")[2], len(node.value)
            if length > CHARACTERS_MAX:
                why = f"it has {length:,} characters"
            elif isinstance(cause, AttributeError):
                # From the parser's own use of a pattern that does not match.
                why = "it does not have that form"
            else:
                why = _without_quotes(cause)
            raise _UnreadableValue(node, f"cannot be read as {_KINDS.get(kind, kind)}: {why}") from cause


class _UnreadableValue(Exception):  # noqa: N818 - Named for what it says.
    """A scalar that the loader cannot make a value of."""

    def __init__(self, node: yaml.Node, problem: str) -> None:
        super().__init__(problem)
        self.node = node


def _without_quotes(cause: Exception) -> str:
    """What Python says, unless it repeats the value."""
    said = " ".join(str(cause).split())
    return "it does not have that form" if "'" in said or '"' in said else said


def _lines(root: yaml.Node | None, path: str) -> Lines:
    lines: Lines = {}
    for key, line, _ in _keys(root, ()):
        if key in lines:
            raise SettingsError(f"{path}:{line}: {'.'.join(key)}: set twice, first in line {lines[key]}")
        lines[key] = line
    return lines


def _keys(node: yaml.Node | None, parent: Key) -> Iterator[tuple[Key, int, yaml.Node]]:
    """Every key with its line and its value; those of a list are numbers from 0 on."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*parent, str(key.value))
            yield path, key.start_mark.line + 1, value
            yield from _keys(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            path = (*parent, str(number))
            yield path, value.start_mark.line + 1, value
            yield from _keys(value, path)
