"""Settings from one YAML file, overridden by environment variables. A mistake is reported with its place and key."""

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError as SourceError

from queryengine.settings.checking import unknown_variables
from queryengine.settings.model import CLIENT_VARIABLES, ENVIRONMENT_PREFIX, Origins, Settings
from queryengine.settings.places import place_of
from queryengine.settings.secret import SECRET_ERROR

_Key = tuple[str, ...]
_Lines = dict[_Key, int]

_WITH_SECRETS: Final = frozenset({"auth", "engines", "policies", "state", "tls"})
"""Groups in which a text in place of a list or of keys may be a secret."""
_OF_MANY: Final = ("dict", "is_instance", "iterable", "list", "mapping", "model", "sequence", "set", "tuple")
"""What types of errors begin with where a list or keys were expected."""

INPUT_CHARACTERS_MAX: Final = 80
"""Shown of a value that is wrong."""


class SettingsError(Exception):
    """The settings cannot be used. The message has one line per mistake: where, which key, and what was
    expected.
    """


def load(path: str | None) -> Settings:
    """Settings of the file, or the defaults without one; environment variables override both.

    Raises SettingsError that names every mistake.
    """
    data, lines = _read(path) if path is not None else ({}, {})
    mistakes = [f"environment variable {name}: {problem}" for name, problem in unknown_variables()]
    cause: Exception | None = None
    try:
        settings = Settings(**data)
    except ValidationError as wrong:
        cause = wrong
        reported = [each for each in wrong.errors() if each["type"] != "default_factory_not_called"]
        mistakes = [*(_describe(each, path, lines) for each in reported), *mistakes]
    except SourceError as wrong:
        cause = wrong
        mistakes.insert(0, f"environment: {wrong}: expected JSON; set single keys with __ instead")
    except ValueError as wrong:
        cause = wrong
        mistakes.insert(0, f"environment: {_one_line(wrong)}")
    if mistakes:
        raise SettingsError("\n".join(mistakes)) from cause
    return settings.knowing(Origins(lambda key: _origin(key, path, lines)))


def load_again(path: str | None) -> Settings:
    """As `load`, for a server that runs. A file without keys is refused, as editors empty a file before they write
    it: every limit would have its default until somebody noticed.
    """
    if path is not None and not _read(path)[0]:
        raise SettingsError(f"{path}: it is empty; write settings to a file beside it and rename that")
    return load(path)


class _Loader(yaml.SafeLoader):
    """Names the place of a value that it cannot make, as of the date 2024-99-99 or an integer of 5,000 digits."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError, AttributeError) as cause:
            # Not the value itself: it may be a password.
            kind, length = node.tag.rpartition(":")[2], len(node.value)
            if length > INPUT_CHARACTERS_MAX:
                why = f"it has {length:,} characters"
            elif isinstance(cause, AttributeError):
                # From the parser's own use of a pattern that does not match.
                why = "it does not have that form"
            else:
                why = _unquoted(_one_line(cause))
            raise _UnreadableValue(node, f"cannot be read as {kind}: {why}") from cause


class _UnreadableValue(Exception):  # noqa: N818 - Named for what it says.
    """A scalar that the loader cannot make a value of."""

    def __init__(self, node: yaml.Node, problem: str) -> None:
        super().__init__(problem)
        self.node = node


def _read(path: str) -> tuple[dict[str, Any], _Lines]:
    """The file's data, and the line of every key in it."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=_Loader)
        lines = _lines(root, path)
        data = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except OSError as cause:
        raise SettingsError(f"{path}: cannot be read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise SettingsError(f"{path}: cannot be read: {_one_line(cause)}") from cause
    except yaml.MarkedYAMLError as cause:
        line = cause.problem_mark.line + 1 if cause.problem_mark else 1
        raise SettingsError(f"{path}:{line}: not YAML: {_unquoted(cause.problem or cause.context or '')}") from cause
    except yaml.YAMLError as cause:
        raise SettingsError(f"{path}: not YAML: {_one_line(cause)}") from cause
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


def _lines(root: yaml.Node | None, path: str) -> _Lines:
    lines: _Lines = {}
    for key, line, _ in _keys(root, ()):
        if key in lines:
            raise SettingsError(f"{path}:{line}: {'.'.join(key)}: set twice, first in line {lines[key]}")
        lines[key] = line
    return lines


def _keys(node: yaml.Node | None, parent: _Key) -> Iterator[tuple[_Key, int, yaml.Node]]:
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


def _unquoted(problem: str) -> str:
    """What YAML's parser says, without what it quotes of the text: an alias *name and a tag !name may be a password
    that was to stand in quotation marks. Single characters and names of tokens stay.
    """
    if r"'\t'" in problem:
        return "a tab stands where only spaces may; indent with spaces"
    quoted = re.sub(r"(['\"])(?!<[a-z ]+>\1).{2,}\1", "(not shown)", problem)
    return f"{quoted}; put a value that begins with * or ! in quotation marks" if quoted != problem else problem


def _one_line(cause: Exception) -> str:
    return " ".join(str(cause).split())


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= INPUT_CHARACTERS_MAX else text[:INPUT_CHARACTERS_MAX] + "…")


def _describe(mistake: ErrorDetails, path: str | None, lines: _Lines) -> str:
    """One mistake: where it was written, its key, what was expected."""
    key, models = place_of(mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        expected = f"unknown key{_suggestion(key[-1], models)}"
    elif mistake["type"] == "missing":
        expected = "must be set"
    elif mistake["type"] == "union_tag_invalid":
        expected = f"expected a type of {mistake['ctx']['expected_tags']}, not {_shown(mistake['ctx']['tag'])}"
    elif mistake["type"] == "sequence_str":
        expected = "expected a list, such as [one, two]"
    else:
        expected = mistake["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        expected = expected.partition(" or instance of ")[0]
        # Only plain values are repeated: a mapping may hold an engine's password.
        if mistake["type"] == SECRET_ERROR:
            inside = (*key, *mistake["ctx"]["inside"])
            return f"{_origin(inside, path, lines)}: {'.'.join(key)}: {mistake['ctx']['problem']}"
        if isinstance(mistake["input"], str):
            if key[0] in _WITH_SECRETS and mistake["type"].startswith(_OF_MANY):
                return f"{_origin(key, path, lines)}: {'.'.join(key)}: {expected}"
            expected += f", not {_shown(mistake['input'])}"
        elif isinstance(mistake["input"], int | float):
            expected += f", not {mistake['input']!r}"
    return f"{_origin(key, path, lines)}: {'.'.join(key)}: {expected}"


def _origin(key: _Key, path: str | None, lines: _Lines) -> str:
    variables = {name.upper(): name for name in os.environ if name.upper() not in CLIENT_VARIABLES}
    exact = variables.get((ENVIRONMENT_PREFIX + "__".join(key)).upper())
    if exact is not None:
        return f"environment variable {exact}"
    for length in range(len(key), 0, -1):
        part = key[:length]
        if part in lines:
            return f"{path}:{lines[part]}"
        group = variables.get((ENVIRONMENT_PREFIX + "__".join(part)).upper())
        if group is not None:
            return f"environment variable {group}"
    return path or "environment"


def _suggestion(name: str, models: Sequence[type[BaseModel]]) -> str:
    known = list(dict.fromkeys(key for model in models for key in model.model_fields))
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(known)}"
