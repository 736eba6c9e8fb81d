"""The promises of the record of API keys, on every kind of store."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from queryengine.domain.api_keys import KEYS_MAX, ApiKey
from queryengine.domain.errors import QueryEngineError
from queryengine.domain.identity import Role
from queryengine.store import Store, keys
from queryengine.store.keys import KeyFilter, words
from queryengine.store.opening import open_database
from queryengine.store.rows import ASKED, BECAME, to_row
from queryengine.store.tables import QUERIES
from tests.contract.store_case import StoreCase, record_url
from tests.store_values import query


def key(number: int = 1, **values: object) -> ApiKey:
    given = {"tenant": "tenant", "subject": "etl", "roles": frozenset({Role.SUBMIT}), "created_us": number}
    return ApiKey(**{"key_id": f"key{number:09}", **given, **values})


def hash_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


async def added(store: Store, number: int = 1, **values: object) -> ApiKey:
    made = key(number, **values)
    await store.keys.add(made, hash_of(number), now_us=0)
    return made


FULL = key(
    7,
    roles=frozenset(Role),
    label='naïve "label"',
    cidrs=("10.0.0.0/8", "2001:db8::/32"),
    created_us=2**50,
    created_by="root",
    replaces="key000000001",
    expire_us=2**51,
    last_use_us=5,
)


@pytest.mark.parametrize("made", [key(), FULL], ids=["plain", "full"])
async def test_a_key_is_read_back_as_it_was(store: Store, made: ApiKey) -> None:
    await store.keys.add(made, hash_of(1), now_us=0)
    assert await store.keys.get("tenant", made.key_id) == made
    assert await store.keys.list("tenant", KeyFilter(), limit=5) == [made]


async def test_keys_are_durable(store_case: StoreCase, tmp_path: Path) -> None:
    store = await store_case.open(tmp_path)
    made = await added(store)
    await store.close()
    store = await store_case.open(tmp_path)
    assert await store.keys.get("tenant", made.key_id) == made
    await store.close()


async def test_a_tenant_reads_and_ends_its_own_keys_only(store: Store) -> None:
    made = await added(store)
    assert await store.keys.get("other", made.key_id) is None
    assert await store.keys.list("other", KeyFilter(), limit=5) == []
    assert not await store.keys.end(made.but(tenant="other", revoke_us=9), now_us=1)
    assert await store.keys.get("tenant", made.key_id) == made


async def test_a_key_ends_once(store: Store) -> None:
    made = await added(store)
    assert await store.keys.end(made.but(revoke_us=5), now_us=5)
    assert not await store.keys.end(made.but(revoke_us=6), now_us=6)
    assert await store.keys.get("tenant", made.key_id) == made.but(revoke_us=5)


async def test_a_key_that_has_expired_is_not_ended_again(store: Store) -> None:
    made = await added(store, expire_us=5)
    assert not await store.keys.end(made.but(revoke_us=5), now_us=5)
    assert await store.keys.get("tenant", made.key_id) == made


async def test_a_replaced_key_ends_as_it_is_said_together_with_the_new_one(store: Store) -> None:
    old = await added(store)
    new = key(2, replaces=old.key_id)
    assert await store.keys.replace(old.but(expire_us=99), new, hash_of(2), now_us=10)
    assert await store.keys.list("tenant", KeyFilter(), limit=5) == [new, old.but(expire_us=99)]


async def test_a_key_that_does_not_work_is_not_replaced(store: Store) -> None:
    old = await added(store, expire_us=10)
    assert not await store.keys.replace(old.but(revoke_us=10), key(2), hash_of(2), now_us=10)
    assert await store.keys.list("tenant", KeyFilter(), limit=5) == [old]


async def test_a_tenant_has_so_many_keys_that_work(store: Store) -> None:
    rows = [key(number) for number in range(KEYS_MAX - 1)]
    for made in rows:
        await store.keys.add(made, hash_of(1), now_us=0)
    last = await added(store, 5_000, expire_us=100)
    with pytest.raises(QueryEngineError, match="API_KEY_LIMIT") as refusal:
        await added(store, 5_001)
    assert refusal.value.failure.metadata == {"limit": "1000"}
    await added(store, 5_002, tenant="other")
    # A rotation without grace takes the place of the old key, one with grace takes one more.
    with pytest.raises(QueryEngineError, match="API_KEY_LIMIT"):
        await store.keys.replace(last.but(expire_us=50), key(5_003), hash_of(3), now_us=1)
    assert await store.keys.get("tenant", last.key_id) == last
    assert await store.keys.replace(last.but(revoke_us=1), key(5_003), hash_of(3), now_us=1)


async def test_a_tenant_remembers_so_many_keys_that_have_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "ENDED_KEYS_MAX", 2)
    for number in range(1, 4):
        made = await added(store, number)
        await store.keys.end(made.but(revoke_us=10 - number), now_us=10 - number)
    await added(store, 9, tenant="other", expire_us=1)
    new = await added(store, 4)
    listed = await store.keys.list("tenant", KeyFilter(), limit=9)
    # The one that ended first is gone.
    assert [each.created_us for each in listed] == [new.created_us, 2, 1]
    assert len(await store.keys.list("other", KeyFilter(), limit=9)) == 1


async def test_listing_is_newest_first_by_pages_and_filters(store: Store) -> None:
    made = [await added(store, number, subject="ab"[number % 2]) for number in range(1, 7)]
    made.reverse()
    listed = await store.keys.list("tenant", KeyFilter(), limit=4)
    assert listed == made[:4]
    last = listed[-1]
    assert await store.keys.list("tenant", KeyFilter(), before=(last.created_us, last.key_id), limit=4) == made[4:]
    assert await store.keys.list("tenant", KeyFilter(subject="a"), limit=9) == made[::2]
    await store.keys.end(made[0].but(revoke_us=3), now_us=3)
    assert await store.keys.list("tenant", KeyFilter(working_at_us=3), limit=9) == made[1:]
    expiring = await added(store, 7, expire_us=9)
    assert await store.keys.list("tenant", KeyFilter(working_at_us=8), limit=9) == [expiring, *made[1:]]
    assert await store.keys.list("tenant", KeyFilter(working_at_us=9), limit=9) == made[1:]


async def test_changes_are_followed_by_their_numbers(store: Store) -> None:
    one, two = await added(store, 1, roles=frozenset({Role.READ, Role.SUBMIT})), await added(store, 2, cidrs=("::/0",))
    first, second = await store.keys.changed(0, 10)
    assert first[1:3] == (hash_of(1), one.key_id)
    assert (words(first[5]), words(second[6])) == (("read", "submit"), ("::/0",))
    assert second[0] > first[0]
    assert await store.keys.changed(0, 1) == [first]
    assert await store.keys.changed(second[0], 10) == []
    await store.keys.end(one.but(revoke_us=4), now_us=4)
    (ended,) = await store.keys.changed(second[0], 10)
    assert (ended[2], ended[7]) == (one.key_id, 0)
    assert await store.keys.replace(two.but(expire_us=9), key(3), hash_of(3), now_us=5)
    changed = await store.keys.changed(ended[0], 10)
    assert {(row[2], row[7]) for row in changed} == {(two.key_id, 9), ("key000000003", None)}


async def test_a_number_is_not_used_again_when_keys_are_forgotten(store: Store) -> None:
    made = await added(store)
    await store.keys.end(made.but(revoke_us=4), now_us=4)
    (ended,) = await store.keys.changed(0, 10)
    assert await store.keys.delete_ended_before(5, 10) == 1
    await added(store, 2)
    (new,) = await store.keys.changed(ended[0], 10)
    assert new[2] == "key000000002"


async def test_ended_keys_are_forgotten_after_their_time(store: Store) -> None:
    kept = [await added(store, 1), await added(store, 2, expire_us=10), await added(store, 3, expire_us=30)]
    revoked = await added(store, 4, expire_us=50)
    await store.keys.end(revoked.but(revoke_us=7), now_us=7)
    assert await store.keys.delete_ended_before(10, 10) == 1
    assert await store.keys.list("tenant", KeyFilter(), limit=9) == [kept[2], kept[1], kept[0]]
    assert await store.keys.delete_ended_before(40, 1) == 1
    assert await store.keys.list("tenant", KeyFilter(), limit=9) == [kept[2], kept[0]]


async def test_uses_are_remembered_and_are_no_change(store: Store) -> None:
    one, two = await added(store, 1), await added(store, 2)
    seen = (await store.keys.changed(0, 10))[-1][0]
    await store.keys.note_uses({one.key_id: 77, two.key_id: 78, "nobody": 79})
    assert await store.keys.list("tenant", KeyFilter(), limit=9) == [two.but(last_use_us=78), one.but(last_use_us=77)]
    assert await store.keys.changed(seen, 10) == []


async def test_a_record_of_the_schema_before_keys_is_taken_up(store_case: StoreCase, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        upgrade = command.upgrade
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0005"))
        place = tmp_path / "queries.db" if store_case.name == "sqlite" else record_url(tmp_path)
        older = await open_database(place, application="older", results=None)
        async with older.writing.begin() as connection:
            assert not await connection.run_sync(lambda sync: sa.inspect(sync).has_table("api_keys"))
            known = await connection.run_sync(lambda sync: sa.inspect(sync).get_columns("queries"))
            row = dict(zip(ASKED + BECAME, to_row(query()), strict=True))
            await connection.execute(QUERIES.insert().values({each["name"]: row[each["name"]] for each in known}))
        await older.close()
    store = await store_case.open(tmp_path)
    assert await store.get("tenant", query().query_id) is not None
    made = await added(store)
    assert [row[2] for row in await store.keys.changed(0, 10)] == [made.key_id]
    await store.close()
