"""What a check of SQL text needs of an engine's options. Never a secret: checks read hostile text."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_ALLOWED: Final = "allow_functions"
_REFUSING: Final = frozenset({"duckdb", "spark", "trino"})
"""The types of engines whose checks of texts refuse functions by name; those of others leave that to their workers."""


def allowing(engine_type: str, options: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    """Options of a check that lets a text use these functions, which are in lower case."""
    if not names or engine_type not in _REFUSING:
        return options
    return {**options, _ALLOWED: [*options.get(_ALLOWED, ()), *names]}


def allowed_functions(options: Mapping[str, Any]) -> frozenset[str]:
    """Those that options of a check let a text use."""
    return frozenset(map(str.lower, options.get(_ALLOWED, ())))


def options_of_check(engine_type: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that change what `Engine.check` answers. What is wrong with options, `Engine.traits` says."""
    match engine_type:
        case "duckdb":
            return _allowed_in(options)
        case "sqlalchemy":
            # The driver says which database it is, and no check asks for more.
            driver, separator, _ = str(options.get("url", "")).partition("://")
            return {"url": f"{driver}:///checked", **_allowed_in(options)} if separator else {}
        case "spark":
            # Policies cannot be applied with it.
            return {"keep_sessions": True} if options.get("keep_sessions") is True else {}
        case _:
            return {}


def _allowed_in(options: Mapping[str, Any]) -> dict[str, Any]:
    names = options.get(_ALLOWED)
    is_list = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return {_ALLOWED: list(names)} if names and is_list else {}
