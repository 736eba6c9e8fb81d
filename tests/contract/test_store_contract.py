"""The promises of the record of queries, one test each. Another kind of store joins by a line in CASES."""

import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from queryengine.domain.errors import Failure, Position, QueryEngineError, Reason
from queryengine.domain.filters import QueryFilter
from queryengine.domain.lifecycle import FINAL, TRANSITIONS, Event, QueryState, ResultState
from queryengine.domain.query import VERSION_STEP, Query, Truncation
from queryengine.domain.submission import Compression, LimitAction
from queryengine.domain.viewer import Viewer
from queryengine.store import Store
from queryengine.store.keys import KeyFilter
from tests.contract.store_case import StoreCase
from tests.store_values import CHANGES, SERVER, plan, query, stored, submission

Q, R, E = QueryState, ResultState, Event


def everything() -> Query:
    """A query of which no field has its default."""
    asked = submission(
        sql="SELECT '\u0000', 'naïve', \"x\" -- ?:name",
        engine_hint="warehouse",
        parameters=b"\x00\xff\x80",
        parameter_types=b"\x00\xfe\x80",
        catalog="c",
        schema="s",
        session_settings={"threads": "2", "it's": '"quoted"'},
        queue_timeout_ms=0,
        execution_timeout_ms=1,
        row_limit=2**62,
        byte_limit=5,
        ttl_ms=3,
        on_limit=LimitAction.FAIL,
        compression=Compression.ZSTD,
        priority=-3,
        cancel_on_disconnect=True,
        disconnect_grace_ms=7,
        labels={"team": "growth", 'a"b.$': "ü"},
    )
    planned = plan(
        engine="warehouse",
        engine_type="sqlalchemy",
        routing_reason="explicit",
        queue_timeout_ms=10,
        execution_timeout_ms=11,
        row_limit=12,
        byte_limit=13,
        ttl_ms=14,
        executed_sql="SELECT 'naïve' -- \u0000",
        policy_version="7",
        cache_key="key",
    )
    failure = Failure(
        Reason.SYNTAX_ERROR,
        "near \ud800 and \u0000",
        metadata={"token": "FROM"},
        sql_state="42601",
        position=Position(3, 4),
        retry_after_seconds=1.5,
    )
    return query(
        asked=asked,
        planned=planned,
        state=Q.FAILED,
        result_state=R.LOST,
        version=5 * VERSION_STEP,
        attempt=3,
        owner="server-9",
        rows=1,
        pages=2,
        bytes=2**40,
        rows_scanned=4,
        bytes_scanned=5,
        truncation=Truncation.BYTE_LIMIT,
        failure=failure,
        start_us=2,
        first_page_us=3,
        end_us=4,
        expire_us=5,
        cancel_us=6,
        cancel_reason="bored",
        result_id="another.1",
    )


# submit and get


async def test_a_submitted_query_is_read_back_as_it_was(store: Store) -> None:
    plain = query(2)
    assert await store.submit(everything()) == (everything(), False)
    assert await store.submit(plain) == (plain, False)
    # Parameters may be large, so they are read on their own.
    kept = everything().but(submission=everything().submission.without_parameters())
    assert await store.get("tenant", everything().query_id) == kept
    assert await store.parameters("tenant", everything().query_id) == everything().submission.parameters
    assert await store.get("tenant", plain.query_id) == plain


async def test_a_query_may_be_claimed_by_its_submit(store: Store) -> None:
    claimed = query(state=Q.RUNNING, attempt=1, owner=SERVER, start_us=1)
    assert await store.submit(claimed) == (claimed, False)
    fired, now = await store.advance(claimed, E.COMPLETE, changes=CHANGES[E.COMPLETE])
    assert fired
    assert now == await store.get("tenant", claimed.query_id)


async def test_a_reading_holds_what_was_asked_to_be_written_before(store: Store) -> None:
    running = await stored(store, Q.RUNNING)
    end = asyncio.create_task(store.advance(running, E.COMPLETE, changes=CHANGES[E.COMPLETE], may_linger=True))
    await asyncio.sleep(0)
    ended = QueryFilter(states=frozenset({Q.COMPLETED}))
    assert [each.state for each in await store.list("tenant", ended, limit=5)] == [Q.COMPLETED]
    fired, now = await end
    assert fired
    assert now == await store.get("tenant", running.query_id)


async def test_submitting_the_same_again_changes_nothing(store: Store) -> None:
    running = await stored(store, Q.RUNNING)
    assert await store.submit(query(asked=submission(subject="other"), submit_us=5)) == (running, True)
    assert await store.get("tenant", running.query_id) == running


async def test_an_id_used_for_something_else_is_refused(store: Store) -> None:
    first = await stored(store, Q.QUEUED)
    with pytest.raises(QueryEngineError) as refusal:
        await store.submit(query(asked=submission(sql="SELECT 2")))
    assert refusal.value.failure.reason is Reason.QUERY_ID_REUSED
    assert await store.get("tenant", first.query_id) == first


async def test_of_fifty_submits_of_one_id_one_is_new(store: Store) -> None:
    answers = await asyncio.gather(*(store.submit(query(submit_us=number)) for number in range(50)))
    assert [existing for _, existing in answers].count(False) == 1
    assert len({answer.submit_us for answer, _ in answers}) == 1
    assert len(await store.list("tenant", limit=100)) == 1


async def test_an_acknowledged_query_is_there_after_a_restart(store_case: StoreCase, tmp_path: Path) -> None:
    store = await store_case.open(tmp_path)
    queries = [query(number) for number in range(600)]
    await asyncio.gather(*(store.submit(each) for each in queries))
    await store.close()
    store = await store_case.open(tmp_path)
    assert [await store.get("tenant", each.query_id) for each in queries] == queries
    await store.close()


async def test_a_tenant_sees_nothing_of_another(store: Store) -> None:
    mine = await stored(store, Q.RUNNING)
    theirs, existing = await store.submit(query(tenant="other", asked=submission(sql="SELECT 2")))
    assert not existing
    assert await store.list("other", limit=10) == [theirs]
    assert await store.get("third", mine.query_id) is None
    third = mine.but(submission=replace(mine.submission, tenant="third"))
    for change in (
        store.advance(third, E.FAIL, changes=CHANGES[E.FAIL]),
        store.advance(third, E.CLAIM, changes=CHANGES[E.CLAIM]),
        store.update(third, changes={"rows": 1}),
    ):
        with pytest.raises(QueryEngineError) as refusal:
            await change
        assert refusal.value.failure.reason is Reason.QUERY_NOT_FOUND
    assert await store.get("tenant", mine.query_id) == mine
    assert await store.get("other", theirs.query_id) == theirs


# advance


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", QueryState)
async def test_an_event_fires_exactly_where_the_table_says(store: Store, state: Q, event: E) -> None:
    before = await stored(store, state)
    fired, now = await store.advance(before, event, changes=CHANGES[event])
    assert now == await store.get("tenant", before.query_id)
    if (state, event) in TRANSITIONS:
        assert fired
        assert now.state is TRANSITIONS[state, event]
        assert now.version == before.version + VERSION_STEP
        assert all(getattr(now, name) == value for name, value in CHANGES[event].items())
    else:
        assert not fired
        assert now == before


@pytest.mark.parametrize("attempt", range(10))
async def test_of_nine_racing_endings_one_fires(store: Store, attempt: int) -> None:
    running = await stored(store, Q.RUNNING)
    endings = [E.COMPLETE, E.FAIL, E.CANCEL] * 3
    random.Random(attempt).shuffle(endings)
    answers = await asyncio.gather(*(store.advance(running, each, changes=CHANGES[each]) for each in endings))
    assert [fired for fired, _ in answers].count(True) == 1
    final = next(now for fired, now in answers if fired)
    assert all(now == final for _, now in answers)
    assert await store.get("tenant", running.query_id) == final


async def test_a_claim_adds_one_to_the_attempt_and_an_orphan_waits_again(store: Store) -> None:
    running = await stored(store, Q.RUNNING)
    assert (running.attempt, running.owner, running.start_us) == (1, SERVER, 2_000)
    _, waiting = await store.advance(running, E.ORPHAN)
    assert (waiting.state, waiting.attempt, waiting.owner, waiting.start_us) == (Q.QUEUED, 1, "", None)
    _, running = await store.advance(waiting, E.CLAIM, changes=CHANGES[E.CLAIM])
    assert running.attempt == 2


@pytest.mark.parametrize("event", [E.COMPLETE, E.FAIL, E.CANCEL, E.ORPHAN])
async def test_the_past_attempt_moves_nothing(store: Store, event: E) -> None:
    past = await stored(store, Q.RUNNING)
    _, waiting = await store.advance(past, E.ORPHAN)
    assert await store.advance(past, event, changes=CHANGES[event]) == (False, waiting)
    assert await store.update(past, changes={"first_page_us": 1, "result_state": R.PARTIAL}) == (False, waiting)
    _, running = await store.advance(waiting, E.CLAIM, changes=CHANGES[E.CLAIM])
    assert await store.advance(past, event, changes=CHANGES[event]) == (False, running)
    assert await store.update(past, changes={"rows": 99}) == (False, running)


async def test_a_published_result_is_never_run_again(store: Store) -> None:
    running = await stored(store, Q.RUNNING)
    _, published = await store.update(running, changes={"first_page_us": 5, "result_state": R.PARTIAL})
    assert await store.advance(published, E.ORPHAN) == (False, published)


@pytest.mark.parametrize("event", [E.FAIL, E.CANCEL])
async def test_a_query_that_ends_badly_has_no_result(store: Store, event: E) -> None:
    running = await stored(store, Q.RUNNING)
    await store.update(running, changes={"first_page_us": 5, "result_state": R.PARTIAL})
    fired, now = await store.advance(running, event, changes=CHANGES[event])
    assert fired
    assert now.result_state is R.NONE


@pytest.mark.parametrize("name", ["state", "tenant", "query_id", "attempt", "version", "spec", "submit_us", "x"])
async def test_what_is_not_a_plain_fact_may_not_be_changed(store: Store, name: str) -> None:
    running = await stored(store, Q.RUNNING)
    with pytest.raises(ValueError, match=name):
        await store.update(running, changes={name: 1})
    with pytest.raises(ValueError, match=name):
        await store.advance(running, E.COMPLETE, changes={**CHANGES[E.COMPLETE], name: 1})
    assert await store.get("tenant", running.query_id) == running


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (E.COMPLETE, {}),
        (E.FAIL, {"end_us": 1}),
        (E.CANCEL, {"failure": Failure(Reason.QUERY_CANCELLED, "")}),
        (E.COMPLETE, {"end_us": 1, "failure": Failure(Reason.ENGINE_ERROR, "")}),
        (E.COMPLETE, {"end_us": 1, "result_state": R.READY}),
        (E.COMPLETE, {"end_us": 1, "result_state": R.PARTIAL}),
        (E.COMPLETE, {"end_us": 1, "result_state": "SOME"}),
        (E.COMPLETE, {"end_us": 1, "rows": -1}),
        (E.COMPLETE, {"end_us": 1, "cancel_reason": "why"}),
        (E.ORPHAN, {"result_state": R.PARTIAL}),
    ],
)
async def test_a_row_that_contradicts_itself_is_refused_alone(
    store: Store, event: E, changes: dict[str, object]
) -> None:
    running = await stored(store, Q.RUNNING)
    others = [query(number) for number in range(2, 40)]
    submits = [asyncio.ensure_future(store.submit(each)) for each in others[:20]]
    wrong = asyncio.ensure_future(store.advance(running, event, changes=changes))
    submits += [asyncio.ensure_future(store.submit(each)) for each in others[20:]]
    with pytest.raises(IntegrityError):
        await wrong
    assert await asyncio.gather(*submits) == [(each, False) for each in others]
    assert await store.get("tenant", running.query_id) == running


async def test_a_running_query_has_an_owner(store: Store) -> None:
    waiting = await stored(store, Q.QUEUED)
    with pytest.raises(IntegrityError):
        await store.advance(waiting, E.CLAIM, changes={"start_us": 1})


# update


async def test_an_update_holds_where_its_conditions_hold(store: Store) -> None:
    done = await stored(store, Q.COMPLETED)
    gone = {"result_state": R.EXPIRED}
    assert await store.update(done, changes=gone, where_result_state=[R.PARTIAL]) == (False, done)
    assert await store.update(done, changes=gone, where_state=[Q.RUNNING, Q.QUEUED]) == (False, done)
    fired, now = await store.update(done, changes=gone, where_result_state={R.READY}, where_state=FINAL)
    assert fired
    assert now == replace(done, result_state=R.EXPIRED, version=done.version + VERSION_STEP)
    assert await store.get("tenant", done.query_id) == now


async def test_of_racing_updates_with_a_condition_one_fires(store: Store) -> None:
    done = await stored(store, Q.COMPLETED)
    answers = await asyncio.gather(
        *(
            store.update(done, changes={"result_state": each}, where_result_state=[R.READY])
            for each in [R.RELEASED, R.EXPIRED, R.LOST] * 3
        )
    )
    assert [fired for fired, _ in answers].count(True) == 1


async def test_the_first_wish_to_cancel_is_remembered(store: Store) -> None:
    waiting = await stored(store, Q.QUEUED)
    fired, first = await store.update(waiting, changes={"cancel_us": 5, "cancel_reason": "first"})
    assert fired
    assert await store.update(waiting, changes={"cancel_us": 6, "cancel_reason": "second"}) == (False, first)


async def test_a_text_from_elsewhere_may_hold_any_character(store: Store) -> None:
    waiting = await stored(store, Q.QUEUED)
    fired, now = await store.update(waiting, changes={"cancel_us": 5, "cancel_reason": "ü\0€\U0001f600"})
    assert (fired, now.cancel_reason) == (True, "ü\ufffd€\U0001f600")
    labels = {"\0": "a\0b", 'x"\n': "\\", "€": ""}
    labelled, _ = await store.submit(query(2, asked=submission(labels=labels)))
    for key, value in labels.items():
        assert await store.list("tenant", QueryFilter(labels={key: value}), limit=5) == [labelled]
    for key, value in (("x", "\\"), ("\n", "\\"), ("\0", "b"), ('x"\n', ""), ("", ""), (",", ":")):
        assert await store.list("tenant", QueryFilter(labels={key: value}), limit=5) == []
    assert await store.list("tenant", QueryFilter(engine="\0", subject="\0"), limit=5) == []
    for query_id in ("\0", "a\0b", "ü", "\U0010ffff", "'"):
        assert await store.get("tenant", query_id) is None
        assert await store.get("tenant", query_id, seen_by=Viewer("\0", sees_shared=True)) is None
        assert await store.list("tenant", QueryFilter(), before=(0, query_id), limit=5) == []
        assert await store.keys.list("tenant", KeyFilter(), before=(0, query_id), limit=5) == []


async def test_a_wish_to_cancel_finds_a_query_that_was_claimed_meanwhile(store: Store) -> None:
    waiting = await stored(store, Q.QUEUED)
    await store.advance(waiting, E.CLAIM, changes=CHANGES[E.CLAIM])
    fired, now = await store.update(waiting, changes={"cancel_us": 5}, where_state=[Q.QUEUED, Q.RUNNING])
    assert fired
    assert (now.state, now.attempt, now.cancel_us) == (Q.RUNNING, 1, 5)


# list


async def test_lists_newest_first_and_pages_through_all_once(store: Store) -> None:
    queries = [query(number, submit_us=number // 3) for number in range(20)]
    shuffled = random.Random(1).sample(queries, len(queries))
    await asyncio.gather(*(store.submit(each) for each in shuffled))
    seen: list[Query] = []
    while page := await store.list("tenant", limit=3, before=(seen[-1].submit_us, seen[-1].query_id) if seen else None):
        seen += page
    assert seen == sorted(queries, key=lambda each: (each.submit_us, each.query_id), reverse=True)


async def test_lists_what_matches_all_that_is_given(store: Store) -> None:
    labels = {"team": "growth", 'a"b.$[0]': "1"}
    mine = await stored(store, Q.RUNNING, 1, asked=submission(labels=labels), planned=plan(engine="warehouse"))
    await stored(store, Q.RUNNING, 2, asked=submission(labels={"team": "other"}))
    await stored(store, Q.QUEUED, 3, asked=submission(labels=labels))
    await stored(store, Q.COMPLETED, 4)

    async def numbers(**given: object) -> list[int]:
        return [int(each.query_id[-3:]) for each in await store.list("tenant", QueryFilter(**given), limit=10)]

    assert await numbers() == [4, 3, 2, 1]
    assert await numbers(states=frozenset({Q.RUNNING})) == [2, 1]
    assert await numbers(states=frozenset({Q.RUNNING, Q.COMPLETED})) == [4, 2, 1]
    assert await numbers(labels=labels) == [3, 1]
    assert await numbers(labels={"team": "growth", "none": "1"}) == []
    assert await numbers(engine="duckdb") == [4, 3, 2]
    assert await numbers(query_id_prefix=mine.query_id[:-1]) == [4, 3, 2, 1]
    assert await numbers(query_id_prefix=mine.query_id[:-1], states=frozenset({Q.RUNNING})) == [2, 1]
    assert await numbers(query_id_prefix=mine.query_id) == [1]
    assert await numbers(query_id_prefix=f"{mine.query_id}0") == []
    assert await numbers(states=frozenset({Q.RUNNING}), labels=labels, engine="warehouse") == [1]
    assert await store.list("tenant", QueryFilter(labels=labels, engine="warehouse"), limit=10) == [mine]


async def test_lists_a_range_of_submit_times_and_one_subject(store: Store) -> None:
    """From the first time on, up to the other, which is outside: ranges that meet have no query in common."""
    for number, subject in enumerate(("ann", "bob", "ann", "Ann", "")):
        await store.submit(query(number, asked=submission(subject=subject), submit_us=number * 1000))

    async def numbers(**given: object) -> list[int]:
        wanted = QueryFilter(**given)
        found = await store.list("tenant", wanted, limit=10)
        # In memory, as a watch compares, the same ones match.
        assert found == [each for each in await store.list("tenant", limit=10) if wanted.matches(each)]
        return [int(each.query_id[-3:]) for each in found]

    assert await numbers(submitted_from_us=0) == [4, 3, 2, 1, 0]
    assert await numbers(submitted_from_us=2000) == [4, 3, 2]
    assert await numbers(submitted_before_us=2000) == [1, 0]
    assert await numbers(submitted_before_us=0) == []
    assert await numbers(submitted_from_us=1000, submitted_before_us=3000) == [2, 1]
    assert await numbers(subject="ann") == [2, 0]
    assert await numbers(subject="ann", submitted_from_us=1) == [2]
    assert await numbers(subject="an") == []


# recover and forget


async def test_a_listing_has_the_beginning_of_a_long_statement_and_no_parameters(store: Store) -> None:
    text = "SELECT 'ü\"' -- " + "long " * 20_000
    asked = submission(sql=text, parameters=b"x" * 100_000, labels={"a": "b"})
    await store.submit(query(1, asked=asked))
    (listed,) = await store.list("tenant", limit=10)
    assert listed.submission == replace(asked, sql=text[:800], parameters=None)
    assert listed.submission.sql_preview() == asked.sql_preview()
    found = await store.get("tenant", query(1).query_id)
    assert found is not None
    assert found.submission.sql == text


async def test_parameters_go_with_the_end_of_their_query(store: Store) -> None:
    counted = []
    for number, event in enumerate((E.COMPLETE, E.FAIL, E.CANCEL), 1):
        asked = submission(parameters=b"x" * 1000)
        running = query(number, asked=asked, record_bytes=asked.record_bytes())
        await store.submit(running)
        _, running = await store.advance(running, E.CLAIM, changes=CHANGES[E.CLAIM])
        assert await store.parameters("tenant", running.query_id) == b"x" * 1000
        counted.append(store.usage.of("tenant"))
        _, ended = await store.advance(running, event, changes=CHANGES[event])
        assert await store.parameters("tenant", running.query_id) == b""
        assert ended.fingerprint == asked.fingerprint()
        counted[-1] -= store.usage.of("tenant")
    # What an error says of itself counts.
    assert counted[0] == 1000
    assert 900 < counted[1] < 1000
    assert 900 < counted[2] < 1000


async def test_usage_is_known_after_a_restart(store_case: StoreCase, store: Store, tmp_path: Path) -> None:
    for number in range(1, 6):
        await store.submit(query(number, record_bytes=100 * number))
    await stored(store, Q.FAILED, 7, record_bytes=10_000)
    await store.submit(query(8, tenant="other", record_bytes=5))
    assert await store.delete_oldest_of("other", 10_000, 10) == 0
    assert await store.delete_oldest_of("tenant", 10_000, 10) == 1
    assert (store.usage.of("tenant"), store.usage.of("other"), store.usage.total) == (1500, 5, 1505)
    assert store.usage.above(100) == ["tenant"]
    await store.close()
    again = await store_case.open(tmp_path)
    assert (again.usage.of("tenant"), again.usage.of("other"), again.usage.total) == (1500, 5, 1505)
    await again.close()


async def test_recovery_returns_what_has_not_ended_oldest_first(store: Store) -> None:
    done = await stored(store, Q.COMPLETED, 1)
    waiting = await stored(store, Q.QUEUED, 2, submit_us=9)
    running = await stored(store, Q.RUNNING, 3, submit_us=8, tenant="other")
    found = await store.recover()
    assert found == [replace(each, version=each.version + VERSION_STEP) for each in (running, waiting)]
    assert await store.get("tenant", waiting.query_id) == found[1]
    assert await store.get("tenant", done.query_id) == done


async def test_a_version_never_goes_back_over_restarts(store_case: StoreCase, tmp_path: Path) -> None:
    store = await store_case.open(tmp_path)
    now = await stored(store, Q.RUNNING)
    last = now.version
    for _ in range(3):
        last += VERSION_STEP - 1  # Progress that is counted in memory only.
        await store.close()
        store = await store_case.open(tmp_path)
        (now,) = await store.recover()
        assert now.version > last
        last = now.version
        _, now = await store.update(now, changes={"rows": 1})
        assert now.version > last
        last = now.version
    await store.close()


async def test_finds_results_to_expire_longest_expired_first(store: Store) -> None:
    done = [await stored(store, Q.COMPLETED, number, tenant=f"t{number}") for number in range(4)]
    for each, expire_us in zip(done, (30, 10, 20, 40), strict=True):
        await store.update(each, changes={"expire_us": expire_us})
    await stored(store, Q.FAILED, 9)
    assert [each.tenant for each in await store.expiring(30, 10)] == ["t1", "t2", "t0"]
    assert [each.tenant for each in await store.expiring(30, 1)] == ["t1"]
    (first,) = await store.expiring(10, 10)
    # What is left of a damaged result goes when all of it would have gone.
    await store.update(first, changes={"result_state": R.LOST})
    (first,) = await store.expiring(10, 10)
    assert first.result_state is R.LOST
    await store.update(first, changes={"result_state": R.EXPIRED})
    assert await store.expiring(10, 10) == []


async def test_knows_how_long_completed_queries_ran(store: Store) -> None:
    sizes: list[dict[str, object]] = [
        {"rows": 7, "bytes_scanned": 70},
        {"rows": 8, "truncation": Truncation.ROW_LIMIT},
        {"rows": 9, "bytes_scanned": 90},
    ]
    for number, (start, end) in enumerate([(10, 30), (5, 40), (1, 20)]):
        running = await stored(store, Q.RUNNING, number, planned=plan(policy_version="1" if number == 2 else ""))
        await store.update(running, changes={"start_us": start})
        await store.advance(running, E.COMPLETE, changes={"end_us": end, **sizes[number]})
    await stored(store, Q.FAILED, 7)
    known = query().query_hash
    # Without what was read where policies hide some of it, and without the rows of a result that was cut.
    times_and_sizes = [(35, None, None), (20, 7, 70), (19, 9, None)]
    runs = [("duckdb", "tenant", "subject", known, *each) for each in times_and_sizes]
    assert await store.execution_times() == runs
    assert await store.execution_times(1) == runs[:1]


async def test_forgets_the_ended_whose_result_is_gone(store: Store) -> None:
    kept = [
        await stored(store, Q.COMPLETED, 1),
        await stored(store, Q.RUNNING, 2),
        await stored(store, Q.QUEUED, 3),
    ]
    for number in range(4, 9):
        await stored(store, Q.FAILED, number)
    assert await store.delete_ended_before(3_000, 10) == 0
    assert await store.delete_ended_before(3_001, 3) == 3
    assert await store.delete_ended_before(3_001, 3) == 2
    assert await store.list("tenant", limit=10) == kept[::-1]
    await store.update(kept[0], changes={"result_state": R.LOST})
    assert await store.delete_ended_before(3_001, 3) == 0
    assert await store.holding_rows([kept[0].query_id]) == [("tenant", kept[0].query_id)]
    await store.update(kept[0], changes={"result_state": R.RELEASED})
    assert await store.delete_ended_before(3_001, 3) == 1
    with pytest.raises(QueryEngineError) as refusal:
        await store.update(kept[0], changes={"rows": 1})
    assert refusal.value.failure.reason is Reason.QUERY_NOT_FOUND


# close, cancel


async def test_close_writes_what_is_queued_and_may_be_repeated(store_case: StoreCase, tmp_path: Path) -> None:
    store = await store_case.open(tmp_path)
    assert await store.healthy()
    submits = [asyncio.ensure_future(store.submit(query(number))) for number in range(300)]
    await asyncio.sleep(0)
    await asyncio.gather(store.close(), store.close())
    await store.close()
    assert [existing for _, existing in await asyncio.gather(*submits)] == [False] * 300
    assert not await store.healthy()
    for late in (store.submit(query()), store.get("tenant", "x"), store.list("tenant", limit=1)):
        with pytest.raises(QueryEngineError) as refusal:
            await late
        assert refusal.value.failure.reason is Reason.STORE_UNAVAILABLE


async def test_cancelled_callers_do_not_disturb_the_writer(store: Store) -> None:
    chance = random.Random(7)
    acknowledged: list[Query] = []
    for turn in range(20):
        tasks = {
            asyncio.ensure_future(store.submit(query(turn * 20 + number))): query(turn * 20 + number)
            for number in range(20)
        }
        for task in chance.sample(list(tasks), 10):
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            task.cancel()
        for task, each in tasks.items():
            with suppress(asyncio.CancelledError):
                await task
                acknowledged.append(each)
    assert len(acknowledged) >= 200
    assert await store.healthy()
    known = await store.list("tenant", limit=1000)
    assert {each.query_id for each in acknowledged} <= {each.query_id for each in known}
