"""The 22 queries of TPC-H through the adapter, against what Trino's own client reads from the same server."""

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trino.dbapi
from trino_support import opened, read, server

from queryengine.engines.trino.engine import TrinoEngine

QUERIES = sorted((Path(__file__).parents[1] / "data" / "tpch").glob("q*.sql"))
HOME = {"catalog": "standard", "schema": "tiny"}


@pytest.fixture(scope="module")
def engine() -> Iterator[TrinoEngine]:
    with opened({**server().options(), **HOME}) as engine:
        yield engine


def by_its_own_client(sql: str) -> list[tuple[Any, ...]]:
    connection = trino.dbapi.connect(host="127.0.0.1", port=server().port, user="observer", **HOME)
    try:
        cursor = connection.cursor()
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()]
    finally:
        connection._http_session.close()


def is_same(one: Any, other: Any) -> bool:
    """The same value of the same type. Trino adds up floating point numbers in any order."""
    if isinstance(one, float):
        return isinstance(other, float) and math.isclose(one, other, rel_tol=1e-9)
    return type(one) is type(other) and one == other


def test_there_are_all_of_them() -> None:
    assert len(QUERIES) == 22


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_query_reads_as_with_trinos_own_client(engine: TrinoEngine, path: Path) -> None:
    sql = path.read_text()
    expected = by_its_own_client(sql)
    table = read(engine, sql)
    found = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert all(map(is_same, ours, theirs)), (ours, theirs)
    known = (int, float, str, Decimal, dt.date, type(None))
    assert all(isinstance(value, known) for row in found for value in row)
