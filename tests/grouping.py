"""Which tests run one after another in one process, when several processes share the suite.

Tests of one engine server form a group, so that it is started once; any other file is a group of its own, so that what
its module-scoped fixtures make is made once. Groups are started in the order of the collection, the longest first, so
that none of them is begun when everything else is over.
"""

from collections.abc import Iterable
from typing import Final

import pytest

SERVERS: Final = ("spark", "trino", "clickhouse", "postgresql")
"""Engines whose tests need a server, those with the slowest tests first."""

SAME_SERVER: Final = {"generic": "postgresql"}
"""Cases of the contract suite that use the server of another one."""

OWN_SERVER: Final = ("test_spark_faults", "test_trino_faults", "test_trino_spooling")
"""Files of an engine that start a server of their own."""

SLOW_FOLDERS: Final = ("engines", "faults", "service")


def server_of(item: pytest.Item) -> str:
    """The engine whose server a test needs; empty when it needs none."""
    name = item.path.stem.split("_")[1] if item.path.parent.name == "engines" else _case(item)
    name = SAME_SERVER.get(name, name)
    return name if name in SERVERS else ""


def group_of(item: pytest.Item) -> str:
    server = server_of(item)
    return server if server and item.path.stem not in OWN_SERVER else item.path.stem


def arrange(items: list[pytest.Item]) -> None:
    """Mark each test with its group and with whether it needs a server, and put the groups that take longest first."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
        if server_of(item):
            item.add_marker(pytest.mark.engine_server)
    items.sort(key=_rank)


def _case(item: pytest.Item) -> str:
    """The name of the case that a test of the contract suite is for."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    case = parameters.get("case")
    return str(parameters.get("name", "") if case is None else getattr(case, "name", case))


def _rank(item: pytest.Item) -> int:
    order: Iterable[str] = (*SERVERS, *OWN_SERVER)
    ranks = {name: rank for rank, name in enumerate(order)}
    folder = item.path.parent.name
    later = SLOW_FOLDERS.index(folder) if folder in SLOW_FOLDERS else len(SLOW_FOLDERS)
    return ranks.get(group_of(item), len(ranks) + later)
