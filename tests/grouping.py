"""Which tests run one after another in one process, when several processes share the suite.

Tests of one engine server form a group, so that it is started once; any other file is a group of its own, so that what
its module-scoped fixtures make is made once. Groups begin in the order of the collection, the longest first, so that
none of them is begun when everything else is over. All of it is read from the id of a test, as the process that hands
out the groups knows nothing else of it.
"""

import re
from pathlib import PurePosixPath
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

SERVERS: Final = ("spark", "trino", "clickhouse", "postgresql")
"""Engines whose tests need a server, those with the slowest tests first."""

SAME_SERVER: Final = {"generic": "postgresql"}
"""Cases of the contract suite that use the server of another one."""

OWN_SERVER: Final = ("test_spark_faults", "test_trino_faults", "test_trino_spooling")
"""Files of an engine that start a server of their own."""

SLOW_FOLDERS: Final = ("engines", "faults", "service")

_CASE: Final = re.compile(rf"[\[-]({'|'.join((*SERVERS, *SAME_SERVER))})[\]-]")


_ORACLE: Final = re.compile(rf"::test_({'|'.join(SERVERS)})_")


class GroupScheduling(LoadScopeScheduling):
    """Hands out group by group."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def server_of(test_id: str) -> str:
    """The engine whose server a test needs; empty when it needs none."""
    path = _path(test_id)
    name = ""
    if path.parent.name == "engines":
        name = path.stem.split("_")[1]
    elif path.parent.name == "contract" and (case := _CASE.search(test_id)):
        name = case.group(1)
    elif path.parent.name == "policies" and (oracle := _ORACLE.search(test_id)):
        name = oracle.group(1)
    name = SAME_SERVER.get(name, name)
    return name if name in SERVERS else ""


def group_of(test_id: str) -> str:
    server, file = server_of(test_id), _path(test_id).stem
    return server if server and file not in OWN_SERVER else file


def arrange(items: list[pytest.Item]) -> None:
    """Mark the tests that need a server, and put the groups that take longest first."""
    for item in items:
        if server_of(item.nodeid):
            item.add_marker(pytest.mark.engine_server)
    items.sort(key=lambda item: _rank(item.nodeid))


def _path(test_id: str) -> PurePosixPath:
    return PurePosixPath(test_id.partition("::")[0])


def _rank(test_id: str) -> int:
    ranks = {name: rank for rank, name in enumerate((*SERVERS, *OWN_SERVER))}
    folder = _path(test_id).parent.name
    later = SLOW_FOLDERS.index(folder) if folder in SLOW_FOLDERS else len(SLOW_FOLDERS)
    return ranks.get(group_of(test_id), len(ranks) + later)
