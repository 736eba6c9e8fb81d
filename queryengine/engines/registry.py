"""Engine types by name. An adapter's module, and with it a driver, is imported only when it is asked for.

Further types come from packages that are installed beside this one, by the entry-point group `queryengine.engines`; so
the tests bring a type of their own into every process, and no user has it.
"""

import importlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Final

from queryengine.domain.errors import Reason, error
from queryengine.engines.base import Engine
from queryengine.engines.kit.drivers import install_command

ENGINE_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "duckdb": "queryengine.engines.duckdb.engine:DuckDBEngine",
        "sqlalchemy": "queryengine.engines.databases:SQLAlchemyEngine",
        "clickhouse": "queryengine.engines.clickhouse.engine:ClickHouseEngine",
        "trino": "queryengine.engines.trino.engine:TrinoEngine",
        "spark": "queryengine.engines.spark.engine:SparkEngine",
    }
)
"""Those of this package."""

EXTRAS: Final = frozenset({"clickhouse", "spark", "trino"})
"""Engine types whose driver does not come with this package: the extra has the name of the type."""

GROUP: Final = "queryengine.engines"


def check_type(type_name: str) -> None:
    """Raises ValueError for an unknown type, with the known ones."""
    if type_name not in ENGINE_TYPES and type_name not in _from_packages():
        raise ValueError(f"expected one of {', '.join((*ENGINE_TYPES, *_from_packages()))}")


def engine_class(type_name: str) -> type[Engine]:
    """The adapter class of an engine type.

    Raises ValueError for an unknown type, and ENGINE_UNAVAILABLE when the adapter's driver is not installed.
    """
    path = ENGINE_TYPES.get(type_name) or _from_packages().get(type_name)
    if path is None:
        known = ", ".join((*ENGINE_TYPES, *_from_packages()))
        raise ValueError(f"unknown engine type {type_name!r}; known: {known}")
    module_name, _, class_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as cause:
        message = f"engine type {type_name!r} needs a package that is not installed: {cause}"
        if type_name in EXTRAS:
            message += f"; {install_command(type_name)}"
        raise error(Reason.ENGINE_UNAVAILABLE, message, engine=type_name) from cause
    found: type[Engine] = getattr(module, class_name)
    return found


@cache
def _from_packages() -> Mapping[str, str]:
    """Looked for once in a process, and only for a type that is not ours: it reads what every package declares."""
    return MappingProxyType({each.name: each.value for each in entry_points(group=GROUP)})
