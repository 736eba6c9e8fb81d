"""The store picks the queries that a viewer sees as memory does, one by one and in pages, on every database."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
import sqlalchemy as sa

from queryengine.domain.filters import QueryFilter
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.query import Query
from queryengine.domain.viewer import Viewer
from queryengine.store import Store, statements
from tests.store_values import query, stored, submission

LABELS: tuple[dict[str, str], ...] = (
    {},
    {"shared": "true"},
    {"a": "1", "shared": "true", "z": "2"},
    {"shared": "false"},
    {"shared": "true "},
    {"shared": "True"},
    {"Shared": "true"},
    {"unshared": "true"},
    {"note": '"shared":"true"'},
    {"note": '\n"shared":"true"'},
    {'\n"shared"': "true"},
)
SUBJECTS = ("ann", "bob", "Ann", "", "ann ", "an", "a'n")
VIEWERS = tuple(
    Viewer(subject, sees_shared=shared) for subject in (*SUBJECTS, "nobody", "\0") for shared in (False, True)
)


@pytest_asyncio.fixture
async def filled(store: Store) -> AsyncIterator[Store]:
    asked = [submission(subject=subject, labels=labels) for subject in SUBJECTS for labels in LABELS]
    random.Random(1).shuffle(asked)
    for number, each in enumerate(asked):
        # Some come at the same moment.
        await store.submit(query(number, asked=each, submit_us=number // 3))
    await store.submit(query(1_000, asked=submission(labels={"shared": "true"}), tenant="other"))
    yield store


async def paged(store: Store, wanted: QueryFilter, size: int) -> list[Query]:
    found: list[Query] = []
    while page := await store.list(
        "tenant", wanted, limit=size, before=(found[-1].submit_us, found[-1].query_id) if found else None
    ):
        assert len(page) <= size
        found += page
    return found


FILTERS = (QueryFilter(), QueryFilter(subject="ann"), QueryFilter(labels={"shared": "true"}), QueryFilter(engine="x"))


async def test_lists_what_a_viewer_sees_in_order_and_once(filled: Store) -> None:
    everything = await filled.list("tenant", limit=1_000)
    for viewer in VIEWERS:
        for given in FILTERS:
            wanted = replace(given, seen_by=viewer)
            expected = [each for each in everything if given.matches(each) and viewer.sees(each)]
            assert await paged(filled, wanted, 7) == expected == [each for each in everything if wanted.matches(each)]


async def test_finds_what_a_viewer_sees(filled: Store) -> None:
    everything = await filled.list("tenant", limit=1_000)
    for viewer in VIEWERS:
        for each in everything:
            found = await filled.get("tenant", each.query_id, seen_by=viewer)
            assert (found is not None) == viewer.sees(each)
        assert await filled.get("other", query(1).query_id, seen_by=viewer) is None


async def test_a_viewer_sees_a_query_in_every_state(store: Store) -> None:
    for number, state in enumerate(QueryState):
        await stored(store, state, number)
    seen = await store.list("tenant", QueryFilter(seen_by=Viewer("subject", sees_shared=False)), limit=10)
    assert {each.state for each in seen} == set(QueryState)


@pytest.mark.parametrize("before", [None, (20, "x")])
async def test_what_a_viewer_sees_is_read_by_its_indexes(filled: Store, before: tuple[int, str] | None) -> None:
    """However many queries its tenant has: in order, without a look at the others."""
    wanted = QueryFilter(seen_by=Viewer("ann", sees_shared=True))
    select = statements.listing("tenant", wanted, before=before, ended_since_us=1, now_us=1, limit=5)

    def explained(connection: sa.Connection) -> str:
        if connection.dialect.name == "sqlite":
            rows = connection.execute(sa.text("EXPLAIN QUERY PLAN " + text(connection)))
        else:
            # Of a table as small as this one the indexes would not be worth it.
            for way in ("seqscan", "bitmapscan", "sort"):
                connection.execute(sa.text(f"SET LOCAL enable_{way} = off"))
            rows = connection.execute(sa.text("EXPLAIN " + text(connection)))
        return "\n".join(str(row[-1]) for row in rows)

    def text(connection: sa.Connection) -> str:
        compiled = select.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        # A colon would be taken for a parameter.
        return str(compiled).replace(":", "\\:")

    plan = await filled._reader.read(explained)
    assert "queries_by_subject" in plan
    assert "queries_shared" in plan
    assert not any(word in plan for word in ("SCAN", "TEMP B-TREE", "Seq Scan", "queries_by_submission")), plan
