"""What a server remembers of named queries, and when it looks at the record."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from queryengine.domain.errors import QueryEngineError
from queryengine.domain.named_queries import Definition, NamedQuery, Reference, Version
from queryengine.policy.named import NamedIndex
from queryengine.store import Store
from queryengine.store.named import NamedQueryStore

NEWEST, FIRST, PROD = Reference("n"), Reference("n", version=1), Reference("n", "prod")


class Watched:
    """A record that counts how often it is read, and can be held up after a read."""

    def __init__(self, record: NamedQueryStore) -> None:
        self._record = record
        self.reads = Counter[str]()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.has_read = asyncio.Event()

    async def get(self, tenant: str, name: str) -> NamedQuery | None:
        self.reads["name"] += 1
        found = await self._record.get(tenant, name)
        self.has_read.set()
        await self.go_on.wait()
        return found

    async def version(self, named: NamedQuery, number: int) -> Version | None:
        self.reads["version"] += 1
        return await self._record.version(named, number)


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> Any:
    store = await Store.open(tmp_path / "queries.db", owner="server")
    yield store
    await store.close()


async def create(store: Store, name: str = "n", sql: str = "SELECT 1") -> None:
    await store.named.create("tenant", name, Definition(sql=sql), now_us=1, by="")


async def test_the_record_is_read_once(store: Store) -> None:
    await create(store)
    await store.named.tag("tenant", "n", "prod", 1)
    record: Any = Watched(store.named)
    index = NamedIndex(record)
    assert index.remembered("tenant", NEWEST) is None
    for reference in (NEWEST, FIRST, PROD) * 3:
        assert (await index.find("tenant", reference)).found.reference == "n@1"
        assert index.remembered("tenant", reference) is not None
    assert record.reads == {"name": 1, "version": 1}
    assert index.remembered("other", NEWEST) is None
    # What is not there is known from memory, too, where the name is.
    with pytest.raises(QueryEngineError, match="NAMED_QUERY_NOT_FOUND"):
        index.remembered("tenant", Reference("n", "none"))


async def test_a_change_is_seen_at_once(store: Store) -> None:
    await create(store)
    index = NamedIndex(store.named)
    await index.find("tenant", NEWEST)
    await store.named.update("tenant", "n", Definition(sql="SELECT 2"), expected=1, now_us=2, by="")
    index.forget("tenant", "n")
    assert (await index.find("tenant", NEWEST)).definition.sql == "SELECT 2"
    await store.named.delete("tenant", "n", now_us=3)
    index.forget("tenant", "n")
    with pytest.raises(QueryEngineError, match="NAMED_QUERY_NOT_FOUND"):
        await index.find("tenant", NEWEST)


async def test_what_was_read_before_a_change_is_not_remembered(store: Store) -> None:
    await create(store)
    record: Any = Watched(store.named)
    record.go_on.clear()
    index = NamedIndex(record)
    finding = asyncio.create_task(index.find("tenant", NEWEST))
    await record.has_read.wait()
    await store.named.update("tenant", "n", Definition(sql="SELECT 2"), expected=1, now_us=2, by="")
    index.forget("tenant", "n")
    record.go_on.set()
    # The call came before the change was answered, so either version is right for it.
    assert (await finding).definition.sql == "SELECT 1"
    assert (await index.find("tenant", NEWEST)).definition.sql == "SELECT 2"


async def test_so_much_is_remembered_and_no_more(store: Store) -> None:
    for number in range(4):
        await create(store, f"n{number}", "SELECT 1" + " " * 1_000)
    index = NamedIndex(store.named, names_max=3, bytes_max=5_000)
    for number in range(4):
        await index.find("tenant", Reference(f"n{number}"))
    kept = [number for number in range(4) if index.remembered("tenant", Reference(f"n{number}")) is not None]
    assert kept == [2, 3]
    assert (await index.find("tenant", Reference("n0"))).found.reference == "n0@1"
