"""What lists, watches and Submit say of queries that their caller does not see, and what looking for one costs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message

from queryengine.app.service import Service
from queryengine.v1 import query_service_pb2 as pb
from tests.rights_stage import DENIED, REUSED, SHARED, UNSEEN, Stage, script
from tests.support import COMPLETED, FAILED, QUEUED, RUNNING, WAIT, Gate, new_id, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

BY_ID: Mapping[str, Callable[..., Message]] = {
    "GetStatus": pb.GetStatusRequest,
    "StreamResults": pb.StreamResultsRequest,
    "WatchStatus": pb.WatchStatusRequest,
    "FetchPage": pb.FetchPageRequest,
    "ListPages": pb.ListPagesRequest,
    "Cancel": pb.CancelRequest,
    "ReleaseResults": pb.ReleaseResultsRequest,
}
"""Requests about the query of an id."""
SEEN: Mapping[str, set[str]] = {
    "user": {"own", "shared"},
    "without_subject": {"shared"},
    "tenant_admin": {"own", "tenant", "nameless", "shared"},
    "admin_from_elsewhere": {"own", "tenant", "nameless", "shared"},
    "neighbour": {"other"},
}


@pytest.mark.parametrize("caller", SEEN)
async def test_lists_hold_what_the_caller_sees(stage: Stage, caller: str) -> None:
    kind_of = {query_id: kind for kind, query_id in stage.ids.items()}
    wanted = set(SEEN[caller])
    found: list[str] = []
    token = ""
    while True:
        reply = await stage.caller(caller).call("ListQueries", pb.ListQueriesRequest(page_size=1, page_token=token))
        found += [kind_of[each.query_id] for each in reply.queries]
        token = reply.next_page_token
        if not token:
            break
    assert (sorted(found), found) == (sorted(wanted), [kind for kind in reversed(list(stage.ids)) if kind in wanted])
    for fields, kinds in (({"subject": "bob"}, {"tenant", "shared"}), ({"labels": SHARED}, {"shared"})):
        reply = await stage.caller(caller).call("ListQueries", pb.ListQueriesRequest(**fields))
        assert {kind_of[each.query_id] for each in reply.queries} == wanted & kinds
    prefix = stage.ids["tenant"][:13]
    reply = await stage.caller(caller).call("ListQueries", pb.ListQueriesRequest(query_id_prefix=prefix))
    assert {kind_of[each.query_id] for each in reply.queries} == wanted & {"tenant"}


async def test_a_cancel_of_many_reaches_ones_own_only(stage: Stage, gate: Gate) -> None:
    nightly = {"job": "nightly", **SHARED}
    ids = {}
    for name in ("user", "bob"):
        request = pb.SubmitRequest(sql=gate.script, engine="scripted", labels=nightly)
        ids[name] = (await stage.caller(name).call("Submit", request)).status.query_id
    request = pb.CancelQueriesRequest(labels={"job": "nightly"}, wait_timeout=WAIT)
    done = await stage.caller("user").call("CancelQueries", request)
    assert (list(done.query_ids), done.cancelled, done.left) == ([ids["user"]], 1, 0)
    assert await state_of(stage, ids["bob"]) in (QUEUED, RUNNING)
    for subject in ("bob", "nobody"):
        request = pb.CancelQueriesRequest(labels={"job": "nightly"}, subject=subject)
        assert not (await stage.caller("user").call("CancelQueries", request)).query_ids
    request = pb.CancelQueriesRequest(labels={"job": "nightly"}, wait_timeout=WAIT)
    done = await stage.caller("tenant_admin").call("CancelQueries", request)
    assert (list(done.query_ids), done.cancelled) == ([ids["bob"]], 1)


async def state_of(stage: Stage, query_id: str) -> int:
    reply = await stage.caller("tenant_admin").call("GetStatus", pb.GetStatusRequest(query_id=query_id))
    return int(reply.status.state)


async def is_running(stage: Stage, query_id: str) -> bool:
    return await state_of(stage, query_id) == RUNNING


async def test_a_watch_of_many_sends_what_the_caller_sees(stage: Stage) -> None:
    watch = stage.caller("user").open("WatchQueries", pb.WatchQueriesRequest())
    assert (await watch.read()).HasField("reset")
    unseen = await stage.caller("bob").submitted()
    shared = await stage.caller("bob").submitted(labels=SHARED)
    own = await stage.caller("user").submitted()
    seen = set()
    while own not in seen:
        seen.add((await watch.read()).status.query_id)
    assert (seen - {own} <= {shared}, unseen in seen) == (True, False)
    watch.cancel()


async def test_a_submit_without_the_role_to_read_has_no_rows(stage: Stage) -> None:
    query_id = new_id()
    for caller, pages in (("submit_only", 0), ("user", 1)):
        reply = await stage.caller(caller).call("Submit", script(query_id=query_id))
        assert (reply.status.state, reply.status.stats.rows) == (COMPLETED, 3)
        assert (len(reply.pages), reply.HasField("schema"), reply.HasField("end")) == (pages, bool(pages), bool(pages))


async def test_an_id_in_use_says_nothing_of_its_query(stage: Stage, guarded: Service) -> None:
    """Whether the submission is the same, in memory or not, and how it is refused as a new one."""
    query_id = stage.ids["tenant"]
    answers = []
    for remembered in (True, False):
        for text in ("rows 3", "rows 4"):
            if not remembered:
                forget(guarded, stage.tenant, query_id)
            answer, refusal = await stage.caller("user").answer("Submit", script(text, query_id=query_id))
            assert refusal is not None
            answers.append((answer, refusal.code, refusal.message, refusal.metadata, refusal.trailers))
    assert answers == [answers[0]] * 4
    assert answers[0][0] == REUSED
    assert answers[0][3] == {"query_id": query_id}
    status = (await stage.caller("bob").call("GetStatus", pb.GetStatusRequest(query_id=query_id))).status
    assert status.subject == "bob"


def forget(service: Service, tenant: str, query_id: str) -> None:
    """Leave a query to the store."""
    registry = service.parts.shared.registry
    if registry.in_memory(tenant, query_id) is not None:
        registry._forget((tenant, query_id))


@contextmanager
def counted_reads(service: Service, patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The reads of single queries and results; a sweep, or whoever follows the keys, reads other things meanwhile."""
    reads: list[str] = []
    store = service.parts.state.store

    def counting(name: str) -> Callable[..., Awaitable[Any]]:
        read = getattr(store, name)

        async def counted(*what: Any, **given: Any) -> Any:
            reads.append(name)
            return await read(*what, **given)

        return counted

    with patch.context() as patched:
        for name in ("get", "result_payload", "parameters", "list"):
            patched.setattr(store, name, counting(name))
        yield reads


@pytest.mark.parametrize("rpc", BY_ID)
async def test_an_unseen_query_costs_the_store_what_an_unknown_one_costs(
    stage: Stage, guarded: Service, monkeypatch: pytest.MonkeyPatch, rpc: str
) -> None:
    """No time that only an existing query takes: one read of the store, of which nothing stays in memory."""
    registry = guarded.parts.shared.registry
    with counted_reads(guarded, monkeypatch) as reads:
        for kind in ("tenant", "nameless", "other", "random"):
            for remembered in (True, False, False):
                if not remembered and kind in stage.ids:
                    forget(guarded, stage.tenant, stage.ids[kind])
                reads.clear()
                request = BY_ID[rpc](query_id=stage.id_of(kind))
                assert (await stage.caller("user").answer(rpc, request))[0] == UNSEEN
                assert reads == ["get"], (kind, remembered)
            assert registry.in_memory(stage.tenant, stage.id_of(kind)) is None


async def test_without_a_role_nothing_is_looked_up(
    stage: Stage, guarded: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(guarded, stage.tenant, stage.ids["own"])
    with counted_reads(guarded, monkeypatch) as reads:
        for rpc, request in {**BY_ID, "Submit": script}.items():
            answer, _ = await stage.caller("without_role").answer(rpc, request(query_id=stage.ids["own"]))
            assert answer == DENIED
    assert not reads


async def test_nobody_waits_for_a_submit_of_an_unseen_query(
    stage: Stage, guarded: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is open whether a query comes to be, only those wait for the answer who would see it."""
    store, begun, goes_on = guarded.parts.state.store, asyncio.Event(), asyncio.Event()
    submit = store.submit

    async def slowly(*query: Any) -> Any:
        begun.set()
        await goes_on.wait()
        return await submit(*query)

    monkeypatch.setattr(store, "submit", slowly)
    query_id = new_id()
    request = pb.SubmitRequest(sql="rows 3", engine="scripted", query_id=query_id)
    submitting = asyncio.ensure_future(stage.caller("bob").call("Submit", request))
    await begun.wait()
    status = pb.GetStatusRequest(query_id=query_id)
    waits = asyncio.ensure_future(stage.caller("tenant_admin").call("GetStatus", status))
    assert (await stage.caller("user").answer("GetStatus", status))[0] == UNSEEN
    assert not waits.done()
    goes_on.set()
    await submitting
    assert (await waits).status.query_id == query_id


@pytest.mark.parametrize("labels", [{}, SHARED], ids=["kept back", "shared"])
async def test_a_query_that_waited_names_only_runs_that_its_user_sees(
    stage: Stage, gate: Gate, labels: dict[str, str]
) -> None:
    request = pb.SubmitRequest(sql=gate.script, engine="scripted", labels=labels)
    held = [(await stage.caller("bob").call("Submit", request)).status.query_id for _ in range(2)]
    await until(lambda: is_running(stage, held[0]))
    request = pb.SubmitRequest(
        sql="rows 1",
        engine="scripted",
        limits={"queue_timeout": timedelta(milliseconds=100)},
        wait_timeout=WAIT,
    )
    status = (await stage.caller("user").call("Submit", request)).status
    assert (status.state, status.error.reason) == (FAILED, "QUEUE_TIMEOUT")
    assert int(status.error.metadata["holders"]) > 0
    named = status.error.metadata.get("holder_ids", "")
    assert (set(filter(None, named.split(","))) <= set(held), bool(named)) == (True, labels == SHARED)
    assert any(query_id in str(status) for query_id in held) == bool(named)


async def test_nobody_learns_from_a_guess_that_somebody_else_ran_the_same(stage: Stage, gate: Gate) -> None:
    for name in ("bob", "user"):
        for _ in range(2):
            request = pb.SubmitRequest(sql=gate.script, engine="scripted")
            await stage.caller(name).call("Submit", request)
    # The stage had it run by bob and by ann.
    guessed = {}
    for name in ("tenant_admin", "user"):
        request = pb.SubmitRequest(sql="rows 3", engine="scripted")
        progress = (await stage.caller(name).call("Submit", request)).status.progress
        assert progress.HasField("queue_position")
        guessed[name] = progress.HasField("estimated_completion_time")
    assert guessed == {"tenant_admin": False, "user": True}
