"""The promises of the record about results, one test each."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError, StatementError

from queryengine.domain.lifecycle import Event, QueryState, ResultState
from queryengine.domain.query import Query
from queryengine.store import Store
from tests.contract.store_case import StoreCase
from tests.store_values import CHANGES, query, stored

Q, R, E = QueryState, ResultState, Event


async def completed(store: Store, number: int = 1, payload: bytes | None = None, **changes: object) -> Query:
    running = await stored(store, Q.RUNNING, number, **changes)
    fired, done = await store.advance(running, E.COMPLETE, changes={**CHANGES[E.COMPLETE], "bytes": 9}, payload=payload)
    assert fired
    return done


@pytest.mark.parametrize("payload", [None, b"", b"\x00\xff" * 40_000])
async def test_a_completion_names_its_result_and_keeps_a_small_one(store: Store, payload: bytes | None) -> None:
    done = await completed(store, payload=payload)
    assert done.result_id == f"{done.query_id}.1" == done.own_result_id
    assert await store.get("tenant", done.query_id) == done
    assert await store.result_payload("tenant", done.result_id) == payload
    assert await store.result_payload("other", done.result_id) is None
    assert await store.result_payload("tenant", done.result_id + "0") is None
    assert await store.payload_bytes() == ({} if payload is None else {"tenant": len(payload)})


async def test_a_result_has_the_attempt_that_wrote_it_in_its_name(store: Store) -> None:
    _, waiting = await store.advance(await stored(store, Q.RUNNING), E.ORPHAN)
    _, running = await store.advance(waiting, E.CLAIM, changes=CHANGES[E.CLAIM])
    assert running.result_id is None
    _, done = await store.advance(running, E.COMPLETE, changes=CHANGES[E.COMPLETE], payload=b"x")
    assert done.result_id == f"{done.query_id}.2"
    assert await store.result_payload("tenant", f"{done.query_id}.2") == b"x"


async def test_a_completion_that_is_late_or_wrong_keeps_nothing(store: Store) -> None:
    running = await stored(store, Q.RUNNING)
    wrong = {"end_us": 1, "result_state": R.READY}
    with pytest.raises(IntegrityError):
        await store.advance(running, E.COMPLETE, changes=wrong, payload=b"x")
    assert await store.result_payload("tenant", running.own_result_id) is None
    await store.advance(running, E.CANCEL, changes=CHANGES[E.CANCEL])
    fired, now = await store.advance(running, E.COMPLETE, changes=CHANGES[E.COMPLETE], payload=b"x")
    assert (fired, now.state, now.result_id) == (False, Q.CANCELLED, None)
    assert await store.result_payload("tenant", running.own_result_id) is None
    assert await store.payload_bytes() == {}


async def test_a_completion_whose_result_cannot_be_kept_did_not_happen(store: Store) -> None:
    running = [await stored(store, Q.RUNNING, number) for number in (1, 2, 3)]
    payloads = (b"first", {}, b"third")
    done = [
        asyncio.ensure_future(store.advance(each, E.COMPLETE, changes=CHANGES[E.COMPLETE], payload=payload))
        for each, payload in zip(running, payloads, strict=True)
    ]
    with pytest.raises(StatementError):
        await done[1]
    assert await store.get("tenant", running[1].query_id) == running[1]
    for number in (0, 2):
        fired, _ = await done[number]
        assert fired
        assert await store.result_payload("tenant", running[number].own_result_id) == payloads[number]


@pytest.mark.parametrize("state", [R.RELEASED, R.EXPIRED])
async def test_the_last_query_that_drops_a_result_takes_its_bytes(store: Store, state: R) -> None:
    first = await completed(store, 1, b"small")
    shared = {"state": Q.COMPLETED, "result_state": R.READY, "end_us": 1, "expire_us": 9_000}
    second, _ = await store.submit(query(2, result_id=first.result_id, **shared))
    other, _ = await store.submit(query(3, tenant="other", result_id=first.result_id, **shared))
    dropped = await store.drop_result(first, state, changes={"expire_us": 7})
    assert (dropped.fired, dropped.was_last, dropped.payload_bytes) == (True, False, 0)
    assert (dropped.query.result_state, dropped.query.expire_us) == (state, 7)
    assert await store.get("tenant", first.query_id) == dropped.query
    assert await store.result_payload("tenant", first.result_id) == b"small"
    again = await store.drop_result(first, R.EXPIRED)
    assert (again.fired, again.was_last, again.query) == (False, False, dropped.query)
    # Damage is no reason to drop what is left.
    _, second = await store.update(second, changes={"result_state": R.LOST})
    last = await store.drop_result(second, state)
    assert (last.fired, last.was_last, last.payload_bytes) == (True, True, 5)
    assert await store.result_payload("tenant", first.result_id) is None
    assert await store.payload_bytes() == {}
    # A result of another tenant by the same name is another one, and was in no record.
    assert (await store.drop_result(other, state)).payload_bytes == 0


async def test_a_result_in_the_spool_is_dropped_without_bytes_of_the_record(store: Store) -> None:
    done = await completed(store)
    dropped = await store.drop_result(done, R.RELEASED)
    assert (dropped.fired, dropped.was_last, dropped.payload_bytes) == (True, True, 0)


@pytest.mark.parametrize("state", [Q.QUEUED, Q.RUNNING, Q.FAILED])
async def test_a_query_without_rows_has_no_result_to_drop(store: Store, state: Q) -> None:
    before = await stored(store, state)
    dropped = await store.drop_result(before, R.RELEASED)
    assert (dropped.fired, dropped.was_last, dropped.query) == (False, False, before)


async def test_results_are_there_after_a_restart(store_case: StoreCase, store: Store, tmp_path: Path) -> None:
    for number in range(1, 4):
        await completed(store, number, b"x" * number)
    await completed(store, 4)
    await completed(store, 5, b"yy", tenant="other")
    await store.close()
    again = await store_case.open(tmp_path)
    assert await again.payload_bytes() == {"tenant": 6, "other": 2}
    assert await again.result_payload("other", query(5).own_result_id.replace(".0", ".1")) == b"yy"
    await again.close()


async def test_finds_the_results_that_somebody_needs(store: Store) -> None:
    done = await completed(store, 1)
    running = await stored(store, Q.RUNNING, 2, tenant="other")
    waiting = await stored(store, Q.QUEUED, 3)
    failed = await stored(store, Q.FAILED, 4)
    released = await completed(store, 5)
    await store.drop_result(released, R.RELEASED)
    names = [each.own_result_id for each in (done, running, failed, released)]
    found = await store.holding_results([*names, waiting.own_result_id, f"{running.query_id}.7", "unknown"])
    assert sorted(found) == [
        ("other", running.own_result_id),
        ("tenant", done.own_result_id),
        ("tenant", waiting.own_result_id),
    ]
    assert await store.holding_results([]) == []


@pytest.mark.parametrize("payload", [None, b"\x00\xff" * 40_000])
async def test_a_query_that_is_written_with_its_end_is_as_one_that_was_written_before(
    store: Store, payload: bytes | None
) -> None:
    changes = CHANGES[E.COMPLETE]
    claimed = [
        query(number, state=Q.RUNNING, attempt=1, owner="me", start_us=2_000, record_bytes=900) for number in (1, 2)
    ]
    before, _ = await store.submit(claimed[0])
    _, before = await store.advance(before, E.COMPLETE, changes=changes, payload=payload)
    used = store.usage.of("tenant")
    done, is_old = await store.submit_ended(claimed[1], E.COMPLETE, changes=changes, payload=payload)
    assert not is_old
    assert done.state is Q.COMPLETED
    for name in ("version", "result_state", "attempt", "rows", "end_us", "expire_us", "record_bytes"):
        assert getattr(done, name) == getattr(before, name)
    assert await store.get("tenant", done.query_id) == done
    assert await store.result_payload("tenant", done.own_result_id) == payload
    assert store.usage.of("tenant") == 2 * used

    again, is_old = await store.submit_ended(claimed[1], E.FAIL, changes=CHANGES[E.FAIL])
    assert (again, is_old) == (done, True)
    assert store.usage.of("tenant") == 2 * used


async def test_a_query_whose_end_contradicts_itself_is_not_written_at_all(store: Store) -> None:
    claimed = query(state=Q.RUNNING, attempt=1, owner="me", start_us=2_000)
    with pytest.raises(IntegrityError):
        await store.submit_ended(claimed, E.COMPLETE, changes={"end_us": 1, "result_state": R.READY}, payload=b"x")
    assert await store.get("tenant", claimed.query_id) is None
    assert await store.payload_bytes() == {}
