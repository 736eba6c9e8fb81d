"""The promises of the record of named queries, on every kind of store."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from queryengine.domain import named_queries
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.identity import Role
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.named_queries import Definition, Found
from queryengine.store import Store, named
from tests.contract.store_case import StoreCase
from tests.store_values import plan, stored

PLAIN = Definition(sql="SELECT 1")
FULL = Definition(
    sql="SELECT 'naïve', '\N{GRINNING FACE}' WHERE $day > 1",
    parameters=b"\0\xff",
    description='for "people"\nof two lines',
    owner="team growth",
    engine="lake",
    catalog="c",
    schema="s",
    session_settings={"TimeZone": "UTC"},
    execution_timeout_ms=5,
    row_limit=7,
    cache_max_age_ms=9,
    roles=frozenset({Role.TENANT_ADMIN, Role.READ}),
)


async def create(store: Store, name: str = "report", definition: Definition = PLAIN, tenant: str = "tenant") -> Found:
    return await store.named.create(tenant, name, definition, now_us=1, by="ann")


async def update(store: Store, expected: int, definition: Definition, *, by: str = "ann") -> Found:
    return await store.named.update("tenant", "report", definition, expected=expected, now_us=2, by=by)


async def listed(store: Store, **given: Any) -> list[Found]:
    return await store.named.list("tenant", **{"prefix": "", "after": "", "roles": None, "limit": 10, **given})


async def names(store: Store, **given: Any) -> list[str]:
    return [found.named.name for found in await listed(store, **given)]


async def refused(call: Awaitable[object]) -> Reason:
    with pytest.raises(QueryEngineError) as refusal:
        await call
    return refusal.value.failure.reason


@pytest.mark.parametrize("definition", [PLAIN, FULL], ids=["plain", "full"])
async def test_a_version_is_read_back_as_it_was(store: Store, definition: Definition) -> None:
    made = await create(store, definition=definition)
    assert (made.version.number, made.version.created_by, made.named.roles) == (1, "ann", definition.roles)
    found = await store.named.get("tenant", "report")
    assert found == made.named
    assert await store.named.version(found, 1) == made.version
    assert await store.named.version(found, 2) is None
    assert made.reference == "report@1"


async def test_named_queries_are_durable(store_case: StoreCase, tmp_path: Path) -> None:
    store = await store_case.open(tmp_path)
    made = await create(store, definition=FULL)
    tagged = await store.named.tag("tenant", "report", "prod", 1)
    await store.close()
    store = await store_case.open(tmp_path)
    assert await store.named.get("tenant", "report") == tagged.named
    assert await store.named.version(made.named, 1) == made.version
    await store.close()


async def test_a_tenant_has_its_own(store: Store) -> None:
    await create(store)
    await create(store, tenant="other", definition=FULL)
    assert [found.version.definition.sql for found in await listed(store)] == [""]
    assert (await listed(store))[0].version.definition.owner == ""
    assert await store.named.delete("other", "report", now_us=3) == 0
    assert await names(store) == ["report"]


async def test_creating_again_is_safe_and_another_definition_is_refused(store: Store) -> None:
    made = await create(store)
    assert await create(store) == made
    assert await refused(create(store, definition=FULL)) is Reason.NAMED_QUERY_EXISTS


async def test_of_two_writers_one_gets_the_version(store: Store) -> None:
    await create(store)
    one, other = Definition(sql="SELECT 2"), Definition(sql="SELECT 3")
    done = await asyncio.gather(update(store, 1, one), update(store, 1, other, by="bob"), return_exceptions=True)
    made = [found for found in done if isinstance(found, Found)]
    [refusal] = [each.failure for each in done if isinstance(each, QueryEngineError)]
    assert [found.version.number for found in made] == [2]
    assert (refusal.reason, refusal.metadata) == (Reason.NAMED_QUERY_CHANGED, {"version": "2"})
    # The one who got it may repeat, the other one may not, and neither may a third with the same text.
    winner = made[0].version
    assert await update(store, 1, winner.definition, by=winner.created_by) == made[0]
    assert await refused(update(store, 1, winner.definition, by="eve")) is Reason.NAMED_QUERY_CHANGED
    for expected in (3, 7, 2**63 - 1):
        assert await refused(update(store, expected, one)) is Reason.NAMED_QUERY_CHANGED


async def test_an_update_leaves_versions_and_tags_as_they_are(store: Store) -> None:
    first = await create(store)
    await store.named.tag("tenant", "report", "prod", 1)
    second = await update(store, 1, FULL)
    assert (second.named.latest, dict(second.named.tags), second.named.roles) == (2, {"prod": 1}, FULL.roles)
    assert await store.named.version(second.named, 1) == first.version
    newest_first = await store.named.versions(second.named, before=None, limit=5)
    assert [version.number for version in newest_first] == [2, 1]
    assert [version.number for version in await store.named.versions(second.named, before=2, limit=5)] == [1]
    assert {version.definition.sql for version in newest_first} == {""}


async def test_a_tag_moves_and_goes(store: Store) -> None:
    await create(store)
    await update(store, 1, FULL)
    for number in (2, 1, 1):
        assert (await store.named.tag("tenant", "report", "prod", number)).version.number == number
    found = await store.named.get("tenant", "report")
    assert found is not None
    assert found.tags == {"prod": 1}
    for _ in range(2):
        assert (await store.named.untag("tenant", "report", "prod")).named.tags == {}
    assert await refused(store.named.tag("tenant", "report", "prod", 3)) is Reason.NAMED_QUERY_NOT_FOUND
    assert await refused(store.named.tag("tenant", "none", "prod", 1)) is Reason.NAMED_QUERY_NOT_FOUND


async def test_a_list_is_in_the_order_of_names_and_in_pages(store: Store) -> None:
    for name in ("b", "a.2", "a.1", "B"):
        await create(store, name)
    assert await names(store) == ["B", "a.1", "a.2", "b"]
    assert await names(store, limit=2) == ["B", "a.1"]
    assert await names(store, after="a.1") == ["a.2", "b"]
    assert await names(store, prefix="a.") == ["a.1", "a.2"]


async def test_a_list_for_roles_has_what_they_may_run(store: Store) -> None:
    await create(store, "all")
    await create(store, "admins", Definition(sql="SELECT 1", roles=frozenset({Role.TENANT_ADMIN})))
    await create(store, "named", Definition(sql="SELECT 1", roles=frozenset({Role.NAMED_ONLY, Role.ADMIN})))
    assert await names(store, roles=[]) == ["all"]
    assert await names(store, roles=[Role.SUBMIT, Role.NAMED_ONLY]) == ["all", "named"]
    assert await names(store, roles=[Role.TENANT_ADMIN]) == ["admins", "all"]
    assert await names(store, roles=[Role.ADMIN]) == ["all", "named"]


async def test_a_deleted_name_is_gone_and_its_numbers_are_not_used_again(store: Store) -> None:
    await create(store)
    await update(store, 1, FULL)
    await store.named.tag("tenant", "report", "prod", 1)
    assert await store.named.delete("tenant", "report", now_us=5) == 0
    assert await store.named.delete("tenant", "report", now_us=6) == 0
    assert await names(store) == []
    assert await store.named.get("tenant", "report") is None
    gone = await store.named.get("tenant", "report", with_deleted=True)
    assert gone is not None
    assert (gone.latest, gone.delete_us, gone.tags) == (2, 5, {})
    for call in (update(store, 2, PLAIN), store.named.untag("tenant", "report", "prod")):
        assert await refused(call) is Reason.NAMED_QUERY_NOT_FOUND
    assert await refused(store.named.delete("tenant", "none", now_us=5)) is Reason.NAMED_QUERY_NOT_FOUND
    again = await create(store)
    assert (again.version.number, again.named.delete_us, again.named.tags) == (3, None, {})


async def test_deleting_keeps_versions_that_queries_refer_to_until_those_are_forgotten(store: Store) -> None:
    await create(store)
    await update(store, 1, FULL)
    await create(store, "other")
    # Neither a longer name nor another tenant's query holds a version.
    await stored(store, QueryState.FAILED, 1, planned=plan(named_query="report@2"))
    await stored(store, QueryState.FAILED, 2, planned=plan(named_query="report@1"), tenant="neighbour")
    assert await store.named.delete("tenant", "report", now_us=5) == 1
    gone = await store.named.get("tenant", "report", with_deleted=True)
    assert gone is not None
    assert [version.number for version in await store.named.versions(gone, before=None, limit=5)] == [2]
    assert await store.named.forget_unused() == 0
    while await store.delete_ended_before(1 << 60, 100):
        continue
    assert [await store.named.forget_unused() for _ in range(2)] == [1, 0]
    assert await store.named.version(gone, 2) is None
    assert await names(store) == ["other"]


@pytest.mark.parametrize(
    ("limit", "of"), [("NAMES_MAX", "named queries"), ("VERSIONS_MAX", "versions"), ("TAGS_MAX", "tags")]
)
async def test_there_may_be_so_many(store: Store, monkeypatch: pytest.MonkeyPatch, limit: str, of: str) -> None:
    monkeypatch.setattr(named, limit, 1)
    await create(store)
    await store.named.tag("tenant", "report", "prod", 1)
    calls = {
        "named queries": lambda: create(store, "another"),
        "versions": lambda: update(store, 1, FULL),
        "tags": lambda: store.named.tag("tenant", "report", "canary", 1),
    }
    with pytest.raises(QueryEngineError, match="delete some") as refusal:
        await calls[of]()
    failure = refusal.value.failure
    assert (failure.reason, failure.metadata) == (Reason.NAMED_QUERY_LIMIT, {"limit": "1", "of": of})
    # A refused change has changed nothing.
    found = await store.named.get("tenant", "report")
    assert found is not None
    assert (found.latest, found.tags, await names(store)) == (1, {"prod": 1}, ["report"])


async def test_definitions_take_so_much_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    size = PLAIN.record_bytes()
    monkeypatch.setattr(named, "DEFINITION_BYTES_MAX", 2 * size)
    await create(store, "a")
    await create(store, "b")
    await create(store, "a", tenant="other")
    with pytest.raises(QueryEngineError) as refusal:
        await create(store, "c")
    assert refusal.value.failure.metadata == {"limit": str(2 * size), "of": "bytes"}
    await store.named.delete("tenant", "a", now_us=1)
    await create(store, "c")


async def test_deleted_names_are_forgotten_when_there_are_too_many(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named, "DELETED_NAMES_MAX", 1)
    for number, name in enumerate(("a", "b"), 1):
        await create(store, name)
        await store.named.delete("tenant", name, now_us=number)
    assert await store.named.get("tenant", "a", with_deleted=True) is None
    assert await store.named.get("tenant", "b", with_deleted=True) is not None


async def test_a_query_remembers_what_was_asked_and_what_ran(store: Store) -> None:
    made = await stored(store, QueryState.QUEUED, planned=plan(named_query="report@7"))
    found = await store.get("tenant", made.query_id)
    assert found is not None
    assert found.plan.named_query == "report@7"


def test_what_is_a_reference() -> None:
    of = named_queries.Reference.of
    assert of("report") == of("report@latest")
    assert of("a.b_c-1@7") == named_queries.Reference("a.b_c-1", version=7)
    assert of("report@prod") == named_queries.Reference("report", "prod")
    for text in ("", "@", "report@", "@prod", "1report", "report@0", "report@07x!", "r port", "a@b@c", "é", "x" * 101):
        assert of(text) is None, text
