"""CancelQueries: what carries some labels is stopped, nothing else is, and the answer counts."""

from collections.abc import Callable

import grpc
import pytest

from queryengine.accepting import cancelling
from tests.support import CANCELLED, COMPLETED, QUEUED, RUNNING, WAIT, Api, Gate, new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

NIGHTLY = {"job": "nightly"}


async def test_what_waits_and_runs_is_stopped_and_nothing_else(api: Api, other: Api, gate: Gate) -> None:
    ended = (await api.script("rows 1", labels=NIGHTLY, wait_timeout=WAIT)).status.query_id
    foreign = (await other.script(gate.script, labels=NIGHTLY)).status.query_id
    await other.reached(foreign, RUNNING)
    running = (await api.script(gate.script, labels={**NIGHTLY, "step": "1"})).status.query_id
    await api.reached(running, RUNNING)
    waiting = [(await api.script("rows 1", labels=NIGHTLY)).status.query_id for _ in range(3)]
    spared = [(await api.script("rows 1", labels=labels)).status.query_id for labels in ({}, {"job": "nightly2"})]
    reply = await api.cancel_matching(labels=NIGHTLY, reason="the source is down", wait_timeout=WAIT)
    assert (reply.cancelled, reply.cancelling, reply.already_ended, reply.left) == (4, 0, 0, 0)
    assert list(reply.query_ids) == [running, *waiting]
    for query_id in reply.query_ids:
        status = await api.status(query_id)
        assert (status.state, status.error.reason) == (CANCELLED, "QUERY_CANCELLED")
        assert "the source is down" in status.error.message
    assert (await api.status(ended)).state == COMPLETED
    assert (await other.status(foreign)).state == RUNNING
    again = await api.cancel_matching(labels=NIGHTLY)
    assert (again.cancelled, again.cancelling, again.already_ended, again.left) == (0, 0, 0, 0)
    assert not again.query_ids
    gate.open()
    for query_id in spared:
        assert (await api.ended(query_id)).state == COMPLETED
    assert (await other.ended(foreign)).state == COMPLETED


async def test_engine_and_subject_narrow_it(channel: grpc.aio.Channel, no_free_slot: Callable[[], None]) -> None:
    tenant = f"tenant-{new_id()}"
    ann, bob = Api(channel, tenant, user="ann"), Api(channel, tenant, user="bob")
    labels = {"team": "blue"}
    of_ann, of_bob = [(await each.script("rows 1", labels=labels)).status.query_id for each in (ann, bob)]
    for nothing in ({"engine": "duckdb"}, {"subject": "an"}, {"labels": {**labels, "run": "1"}}):
        assert not (await ann.cancel_matching(**{"labels": labels, **nothing})).query_ids
    reply = await bob.cancel_matching(labels=labels, engine="scripted", subject="ann")
    assert (reply.cancelled, list(reply.query_ids)) == (1, [of_ann])
    assert (await bob.status(of_bob)).state == QUEUED
    no_free_slot()
    assert (await bob.ended(of_bob)).state == COMPLETED


async def test_without_a_wait_it_counts_those_on_their_way(api: Api, gate: Gate) -> None:
    query_id = (await api.script(f"ignore_cancel; {gate.script}; rows 1", labels=NIGHTLY)).status.query_id
    await api.reached(query_id, RUNNING)
    reply = await api.cancel_matching(labels=NIGHTLY)
    assert (reply.cancelled, reply.cancelling, list(reply.query_ids)) == (0, 1, [query_id])
    gate.open()
    # An engine that does not listen may have come to another end before it is stopped.
    await api.ended(query_id)


async def test_a_call_stops_so_many_and_says_how_many_are_left(
    api: Api, no_free_slot: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "QUERIES_MAX", 3)
    ids = [(await api.script("rows 1", labels=NIGHTLY)).status.query_id for _ in range(7)]
    seen: list[str] = []
    for left in (4, 1, 0):
        reply = await api.cancel_matching(labels=NIGHTLY)
        assert (reply.cancelled, reply.left) == (len(reply.query_ids), left)
        seen += reply.query_ids
    assert seen == ids
    no_free_slot()
