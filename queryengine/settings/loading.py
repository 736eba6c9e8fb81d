"""Settings from one YAML file, overridden by environment variables. A mistake is reported with its place and key."""

import json
import os
import re
from typing import Final

from pydantic import ValidationError
from pydantic_settings import SettingsError as SourceError

from queryengine.settings.checking import unknown_variables
from queryengine.settings.errors import SettingsError
from queryengine.settings.mistakes import described
from queryengine.settings.model import CLIENT_VARIABLES, ENVIRONMENT_PREFIX, Origins, Settings
from queryengine.settings.yaml_file import Key, Lines, read

_FIELD: Final = re.compile(r'field "(\w+)"')
"""In what pydantic says of a variable that is not JSON."""


def load(path: str | None) -> Settings:
    """Settings of the file, or the defaults without one; environment variables override both.

    Raises SettingsError that names every mistake.
    """
    data, lines = read(path) if path is not None else ({}, {})
    mistakes = [f"environment variable {name}: {problem}" for name, problem in unknown_variables()]
    cause: Exception | None = None
    try:
        settings = Settings(**data)
    except ValidationError as wrong:
        cause = wrong
        reported = [each for each in wrong.errors() if each["type"] != "default_factory_not_called"]
        found = (described(each) for each in reported)
        mistakes = [*(f"{_origin(key, path, lines)}: {problem}" for key, problem in found), *mistakes]
    except SourceError as wrong:
        cause = wrong
        mistakes.insert(0, f"{_unreadable(wrong)}: expected JSON; set single keys with __ instead")
    except ValueError as wrong:
        cause = wrong
        mistakes.insert(0, f"environment: {' '.join(str(wrong).split())}")
    if mistakes:
        raise SettingsError("\n".join(mistakes)) from cause
    return settings.knowing(Origins(lambda key: _origin(key, path, lines)))


def load_again(path: str | None) -> Settings:
    """As `load`, for a server that runs. A file without keys is refused, as editors empty a file before they write
    it: every limit would have its default until somebody noticed.
    """
    if path is not None and not read(path)[0]:
        raise SettingsError(f"{path}: it is empty; write settings to a file beside it and rename that")
    return load(path)


def _origin(key: Key, path: str | None, lines: Lines) -> str:
    variables = {name.upper(): name for name in os.environ if name.upper() not in CLIENT_VARIABLES}
    exact = variables.get(_variable(*key))
    if exact is not None:
        return f"environment variable {exact}"
    below = [name for name in sorted(variables) if name.startswith(f"{_variable(*key)}__")]
    if below and key not in lines:
        return f"environment variable {variables[below[0]]}"
    for length in range(len(key), 0, -1):
        part = key[:length]
        if part in lines:
            return f"{path}:{lines[part]}"
        group = variables.get(_variable(*part))
        if group is not None:
            return f"environment variable {group}"
    return path or "environment"


def _variable(*key: str) -> str:
    return (ENVIRONMENT_PREFIX + "__".join(key)).upper()


def _unreadable(error: SourceError) -> str:
    """The variables that may be meant: those of the group that pydantic names whose values are no JSON."""
    found = _FIELD.search(str(error))
    name = _variable(found[1]) if found is not None else ENVIRONMENT_PREFIX
    given = {each: value for each, value in os.environ.items() if each.upper().startswith(name)}
    exact = [each for each in given if each.upper() == name]
    wrong = [each for each in exact or sorted(given) if not _is_json(given[each])]
    return f"environment variable {' or '.join(wrong)}" if wrong else "environment"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
