"""Engine types by name. An adapter's module, and with it a driver, is imported only when it is asked for."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from queryengine.domain.errors import Reason, error
from queryengine.engines.base import Engine
from queryengine.engines.kit.drivers import install_command

ENGINE_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "duckdb": "queryengine.engines.duckdb.engine:DuckDBEngine",
        "sqlalchemy": "queryengine.engines.sqlalchemy.engine:SQLAlchemyEngine",
        "clickhouse": "queryengine.engines.clickhouse.engine:ClickHouseEngine",
        "trino": "queryengine.engines.trino.engine:TrinoEngine",
        "spark": "queryengine.engines.spark.engine:SparkEngine",
        "scripted": "queryengine.engines.scripted:ScriptedEngine",
    }
)

EXTRAS: Final = frozenset({"clickhouse", "spark", "trino"})
"""Engine types whose driver does not come with this package: the extra has the name of the type."""


def engine_class(type_name: str) -> type[Engine]:
    """The adapter class of an engine type.

    Raises ValueError for an unknown type, and ENGINE_UNAVAILABLE when the adapter's driver is not installed.
    """
    if type_name not in ENGINE_TYPES:
        raise ValueError(f"unknown engine type {type_name!r}; known: {', '.join(ENGINE_TYPES)}")
    module_name, _, class_name = ENGINE_TYPES[type_name].partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as cause:
        message = f"engine type {type_name!r} needs a package that is not installed: {cause}"
        if type_name in EXTRAS:
            message += f"; {install_command(type_name)}"
        raise error(Reason.ENGINE_UNAVAILABLE, message, engine=type_name) from cause
    found: type[Engine] = getattr(module, class_name)
    return found
