"""The store picks the queries that a viewer sees as memory does, one by one and in pages, on every database."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest_asyncio

from queryengine.domain.filters import QueryFilter
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.query import Query
from queryengine.domain.viewer import Viewer
from queryengine.store import Store
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
