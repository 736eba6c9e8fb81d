"""What a check of SQL text needs of an engine's options. Never a secret: checks read hostile text."""

from collections.abc import Mapping
from typing import Any


def takes_allowed_functions(engine_type: str, options: Mapping[str, Any]) -> bool:
    """Whether an engine has the option `allow_functions`: its own rules refuse functions by name, and can let some be
    called all the same.
    """
    driver = str(options.get("url", "")).partition("://")[0]
    return engine_type == "duckdb" or (engine_type == "sqlalchemy" and driver in {"postgresql", "postgresql+psycopg"})


def options_of_check(engine_type: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that change what `Engine.check` answers. What is wrong with options, `Engine.traits` says."""
    match engine_type:
        case "duckdb":
            names = options.get("allow_functions")
            is_list = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
            return {"allow_functions": list(names)} if names and is_list else {}
        case "sqlalchemy":
            # The driver says which database it is, and no check asks for more.
            driver, separator, _ = str(options.get("url", "")).partition("://")
            return {"url": f"{driver}:///checked"} if separator else {}
        case _:
            return {}
