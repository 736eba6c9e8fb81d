"""Who may do what: every RPC of every service, as every kind of caller, with every kind of id.

Driven by the contract: an RPC that is added without an entry here fails. An answer is the reason of a refusal, or OK.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from queryengine.domain.clock import SystemClock
from queryengine.domain.key_text import new_key
from queryengine.v1 import admin_service_pb2 as admin_pb
from queryengine.v1 import named_query_service_pb2 as named_pb
from queryengine.v1 import query_service_pb2 as pb
from tests.rights_stage import (
    CALLERS,
    DENIED,
    INVALID,
    KINDS,
    METHODS,
    OK,
    REUSED,
    UNIDENTIFIED,
    UNSEEN,
    Stage,
    method_of,
    script,
)
from tests.support import WAIT, Refusal, new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")


def row(own: str, tenant: str, nameless: str, shared: str, rest: str = UNSEEN) -> dict[str, str]:
    return dict(zip(KINDS, (own, tenant, nameless, shared, rest, rest, rest), strict=True))


def all_of(answer: str) -> dict[str, str]:
    return dict.fromkeys(KINDS, answer)


READ: Mapping[str, Mapping[str, str]] = {
    "user": row(OK, UNSEEN, UNSEEN, OK),
    "named_only": row(OK, UNSEEN, UNSEEN, OK),
    "read_only": row(OK, UNSEEN, UNSEEN, OK),
    "submit_only": all_of(DENIED),
    "cancel_only": all_of(DENIED),
    "without_subject": row(UNSEEN, UNSEEN, UNSEEN, OK),
    "without_role": all_of(DENIED),
    "tenant_admin": row(OK, OK, OK, OK),
    "tenant_auditor": row(OK, OK, OK, OK),
    "admin": row(OK, OK, OK, OK),
    "admin_role_alone": all_of(DENIED),
    "admin_from_elsewhere": row(OK, OK, OK, OK),
    "neighbour": {**all_of(UNSEEN), "other": OK},
    **{caller: all_of(answer) for caller, answer in UNIDENTIFIED.items()},
}
CHANGE: Mapping[str, Mapping[str, str]] = {
    **READ,
    "user": row(OK, UNSEEN, UNSEEN, DENIED),
    "named_only": row(OK, UNSEEN, UNSEEN, DENIED),
    "read_only": all_of(DENIED),
    # Sharing is for readers: whoever may not read does not see what is shared.
    "cancel_only": row(OK, UNSEEN, UNSEEN, UNSEEN),
    "without_subject": row(UNSEEN, UNSEEN, UNSEEN, DENIED),
    "tenant_auditor": all_of(DENIED),
}
# An id of another tenant is as good as a new one.
SUBMIT: Mapping[str, Mapping[str, str]] = {
    "user": {**row(OK, REUSED, REUSED, OK, OK), "malformed": INVALID},
    "named_only": all_of(DENIED) | {"malformed": INVALID},
    "read_only": all_of(DENIED) | {"malformed": INVALID},
    "submit_only": {**row(OK, REUSED, REUSED, REUSED, OK), "malformed": INVALID},
    "cancel_only": all_of(DENIED) | {"malformed": INVALID},
    "without_subject": {**row(REUSED, REUSED, REUSED, OK, OK), "malformed": INVALID},
    "without_role": all_of(DENIED) | {"malformed": INVALID},
    "tenant_admin": {**all_of(OK), "malformed": INVALID},
    "tenant_auditor": all_of(DENIED) | {"malformed": INVALID},
    "admin": {**all_of(OK), "malformed": INVALID},
    "admin_role_alone": all_of(DENIED) | {"malformed": INVALID},
    "admin_from_elsewhere": {**all_of(OK), "malformed": INVALID},
    "neighbour": {**all_of(OK), "malformed": INVALID},
    **{caller: all_of(answer) for caller, answer in UNIDENTIFIED.items()},
}


def by_caller(allowed: str, answer: str = OK) -> dict[str, str]:
    """The answer for callers who are named, and a refusal for all others."""
    return {caller: UNIDENTIFIED.get(caller, answer if caller in allowed.split() else DENIED) for caller in CALLERS}


READERS = "user named_only read_only without_subject tenant_admin tenant_auditor admin admin_from_elsewhere neighbour"
CHANGERS = "user named_only cancel_only without_subject tenant_admin admin admin_from_elsewhere neighbour"
ADMINS = "tenant_admin tenant_auditor admin admin_role_alone admin_from_elsewhere neighbour"
SERVICE_ADMINS = "admin admin_role_alone admin_from_elsewhere"
NAMED_READERS = f"{READERS} submit_only admin_role_alone"
NAMED_RUNNERS = "user named_only submit_only without_subject tenant_admin admin admin_from_elsewhere neighbour"
UNNAMED = "NAMED_QUERY_NOT_FOUND"
EVERYBODY = " ".join(caller for caller in CALLERS if caller != "without_role")


@dataclass(frozen=True)
class Entry:
    """An RPC: how it is called with an id, and what is answered, by caller and kind of id."""

    request: Callable[[str], Message]
    answers: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Plain:
    """An RPC that is about no single query: how it is called, and what is answered, by caller."""

    request: Callable[[], Message]
    answers: Mapping[str, str]


SCRIPT = named_pb.NamedQueryDefinition(sql="rows 3", engine="scripted")


def tomorrow() -> Timestamp:
    return Timestamp(seconds=SystemClock().now_us() // 1_000_000 + 86_400)


ENTRIES: Mapping[str, Entry] = {
    "Submit": Entry(lambda query_id: script(query_id=query_id), SUBMIT),
    "GetStatus": Entry(lambda query_id: pb.GetStatusRequest(query_id=query_id), READ),
    "GetStatus in full": Entry(lambda query_id: pb.GetStatusRequest(query_id=query_id, view=pb.QUERY_VIEW_FULL), READ),
    "StreamResults": Entry(lambda query_id: pb.StreamResultsRequest(query_id=query_id), READ),
    "WatchStatus": Entry(lambda query_id: pb.WatchStatusRequest(query_id=query_id), READ),
    "FetchPage": Entry(lambda query_id: pb.FetchPageRequest(query_id=query_id), READ),
    "ListPages": Entry(lambda query_id: pb.ListPagesRequest(query_id=query_id), READ),
    "Cancel": Entry(lambda query_id: pb.CancelRequest(query_id=query_id), CHANGE),
    "ReleaseResults": Entry(lambda query_id: pb.ReleaseResultsRequest(query_id=query_id), CHANGE),
    "ReleaseResults later": Entry(
        lambda query_id: pb.ReleaseResultsRequest(query_id=query_id, extend_to=tomorrow()), CHANGE
    ),
}
PLAIN: Mapping[str, Plain] = {
    "ListQueries": Plain(pb.ListQueriesRequest, by_caller(READERS)),
    "WatchQueries": Plain(pb.WatchQueriesRequest, by_caller(READERS)),
    "CancelQueries": Plain(lambda: pb.CancelQueriesRequest(labels={"none": "such"}), by_caller(CHANGERS)),
    "GetUsage": Plain(pb.GetUsageRequest, by_caller(READERS)),
    "GetUsage of all tenants": Plain(
        lambda: pb.GetUsageRequest(all_tenants=True), by_caller("admin admin_from_elsewhere")
    ),
    "ListEngines": Plain(pb.ListEnginesRequest, by_caller(EVERYBODY)),
    # It gets as far as to look for the engine.
    "RefreshEngine": Plain(lambda: pb.RefreshEngineRequest(engine="none"), by_caller(ADMINS, "UNKNOWN_ENGINE")),
    "CreateApiKey": Plain(
        lambda: admin_pb.CreateApiKeyRequest(subject="ann", roles=[admin_pb.ROLE_READ]), by_caller(ADMINS)
    ),
    "ListApiKeys": Plain(admin_pb.ListApiKeysRequest, by_caller(ADMINS)),
    "RotateApiKey": Plain(admin_pb.RotateApiKeyRequest, by_caller(ADMINS, "API_KEY_NOT_FOUND")),
    "ReloadStatus": Plain(admin_pb.ReloadStatusRequest, by_caller(SERVICE_ADMINS)),
    "Reload": Plain(admin_pb.ReloadRequest, by_caller(SERVICE_ADMINS)),
    "RevokeApiKey": Plain(admin_pb.RevokeApiKeyRequest, by_caller(ADMINS, "API_KEY_NOT_FOUND")),
    "Submit of a named query": Plain(
        lambda: pb.SubmitRequest(named_query="none", wait_timeout=WAIT), by_caller(NAMED_RUNNERS, UNNAMED)
    ),
    "CreateNamedQuery": Plain(
        lambda: named_pb.CreateNamedQueryRequest(name="report", definition=SCRIPT), by_caller(ADMINS)
    ),
    "UpdateNamedQuery": Plain(
        lambda: named_pb.UpdateNamedQueryRequest(name="none", expected_version=1, definition=SCRIPT),
        by_caller(ADMINS, UNNAMED),
    ),
    "GetNamedQuery": Plain(
        lambda: named_pb.GetNamedQueryRequest(named_query="none"), by_caller(NAMED_READERS, UNNAMED)
    ),
    "ListNamedQueries": Plain(named_pb.ListNamedQueriesRequest, by_caller(NAMED_READERS)),
    "ListNamedQueryVersions": Plain(
        lambda: named_pb.ListNamedQueryVersionsRequest(name="none"), by_caller(NAMED_READERS, UNNAMED)
    ),
    "DeleteNamedQuery": Plain(lambda: named_pb.DeleteNamedQueryRequest(name="none"), by_caller(ADMINS, UNNAMED)),
    "TagNamedQuery": Plain(
        lambda: named_pb.TagNamedQueryRequest(name="none", tag="prod", version=1), by_caller(ADMINS, UNNAMED)
    ),
    "UntagNamedQuery": Plain(
        lambda: named_pb.UntagNamedQueryRequest(name="none", tag="prod"), by_caller(ADMINS, UNNAMED)
    ),
}


async def test_every_rpc_that_is_served_has_an_entry(stage: Stage) -> None:
    for rpc, method in METHODS.items():
        request = method.input_type._concrete_class()
        answer, _ = await stage.caller("nobody").answer(rpc, request)
        assert answer in ("CREDENTIAL_MISSING", "UNIMPLEMENTED"), rpc
        is_in_a_table = method in {method_of(name) for name in (*ENTRIES, *PLAIN)}
        assert is_in_a_table == (answer != "UNIMPLEMENTED"), rpc
    for entry in ENTRIES.values():
        assert set(entry.answers) == set(CALLERS)
        assert all(set(answers) == set(KINDS) for answers in entry.answers.values())
    assert all(set(entry.answers) == set(CALLERS) for entry in PLAIN.values())


@pytest.mark.parametrize("stage", ["badges", "keys", "tokens"], indirect=True)
@pytest.mark.parametrize("rpc", ENTRIES)
async def test_whoever_calls_gets_what_the_table_says_for_every_id(stage: Stage, rpc: str) -> None:
    entry = ENTRIES[rpc]
    refusals: dict[str, list[Refusal]] = {UNSEEN: [], DENIED: []}
    found: dict[str, dict[str, str]] = {}
    for caller in CALLERS:
        found[caller] = {}
        if rpc in ("Submit", "ReleaseResults"):
            # It takes an id, or rows, that the next caller would find.
            await stage.set_up()
        for kind in KINDS:
            request = entry.request(stage.id_of(kind))
            answer, refusal = await stage.caller(caller).answer(rpc, request)
            found[caller][kind] = answer
            if refusal is not None and answer in refusals and (answer == UNSEEN or rpc != "Submit"):
                refusals[answer].append(refusal)
    assert found == entry.answers
    # What one does not see is not there: the same to the last byte, whatever there is and whoever asks.
    assert len({(each.code, each.message, each.trailers) for each in refusals[UNSEEN]}) == (rpc != "Submit")


@pytest.mark.parametrize("stage", ["badges", "keys", "tokens"], indirect=True)
@pytest.mark.parametrize("rpc", PLAIN)
async def test_whoever_calls_gets_what_the_table_says(stage: Stage, rpc: str) -> None:
    entry = PLAIN[rpc]
    found = {caller: (await stage.caller(caller).answer(rpc, entry.request()))[0] for caller in CALLERS}
    assert found == entry.answers


KEY_CALLS: Mapping[str, Callable[[str], Message]] = {
    "RotateApiKey": lambda key_id: admin_pb.RotateApiKeyRequest(key_id=key_id),
    "RevokeApiKey": lambda key_id: admin_pb.RevokeApiKeyRequest(key_id=key_id),
}


@pytest.mark.parametrize("rpc", KEY_CALLS)
async def test_a_key_of_another_tenant_is_not_there(stage: Stage, rpc: str) -> None:
    """Nor does anybody learn of a key who may not manage keys."""
    create = admin_pb.CreateApiKeyRequest(subject="ann", roles=[admin_pb.ROLE_READ])
    refusals: dict[str, list[Refusal]] = {"API_KEY_NOT_FOUND": [], DENIED: []}
    for caller in CALLERS:
        ids = {
            owner: (await stage.caller(owner).call("CreateApiKey", create)).key.key_id
            for owner in ("tenant_admin", "neighbour")
        }
        own = "neighbour" if caller == "neighbour" else "tenant_admin"
        for kind, key_id in (*ids.items(), ("unused", new_key().key_id), ("malformed", "../x"), ("empty", "")):
            answer, refusal = await stage.caller(caller).answer(rpc, KEY_CALLS[rpc](key_id))
            may = UNIDENTIFIED.get(caller, OK if caller in ADMINS.split() else DENIED)
            assert answer == ("API_KEY_NOT_FOUND" if may == OK and kind != own else may), (caller, kind)
            if refusal is not None and answer in refusals:
                refusals[answer].append(refusal)
    for same in refusals.values():
        assert len({(each.code, each.message, each.trailers) for each in same}) == 1


async def test_whoever_runs_named_queries_alone_sees_what_they_take_and_not_their_sql(stage: Stage) -> None:
    admin, named_only, user = (stage.caller(name) for name in ("tenant_admin", "named_only", "user"))
    made = await admin.call("CreateNamedQuery", named_pb.CreateNamedQueryRequest(name="report", definition=SCRIPT))
    # Anything else is not there for it.
    restricted = named_pb.NamedQueryDefinition(sql="rows 1", engine="scripted", roles=[admin_pb.ROLE_TENANT_ADMIN])
    await admin.call("CreateNamedQuery", named_pb.CreateNamedQueryRequest(name="secret", definition=restricted))
    for caller, names, sql in ((admin, ["report", "secret"], "rows 3"), (named_only, ["report"], "")):
        reply = await caller.call("ListNamedQueries", named_pb.ListNamedQueriesRequest())
        assert [each.name for each in reply.named_queries] == names
        found = await caller.call("GetNamedQuery", named_pb.GetNamedQueryRequest(named_query="report"))
        assert found.named_query.definition.sql == sql
    done = await named_only.call("Submit", pb.SubmitRequest(named_query="report", wait_timeout=WAIT))
    assert (done.status.named_query, done.end.total_rows) == ("report@1", 3)
    assert "rows 3" not in str(done.status)
    full = pb.GetStatusRequest(query_id=done.status.query_id, view=pb.QUERY_VIEW_FULL)
    for caller, sql in ((named_only, ""), (user, "rows 3")):
        details = (await caller.call("GetStatus", full)).details
        assert (details.sql, details.executed_sql, details.named_query) == (sql, sql, "report")
        explain = pb.SubmitRequest(named_query="report", mode=pb.SUBMIT_MODE_EXPLAIN)
        said = (await caller.call("Submit", explain)).explanation
        assert (said.engine, said.executed_sql, said.tables_known) == ("scripted", sql, False)
        assert ("text of the named query" in said.engine_plan_withheld) == (not sql)
    for caller in (named_only, user):
        for reference in ("secret", "secret@1", "none"):
            request = pb.SubmitRequest(named_query=reference)
            assert (await caller.answer("Submit", request))[0] == UNNAMED
            get = named_pb.GetNamedQueryRequest(named_query=reference)
            assert (await caller.answer("GetNamedQuery", get))[0] == UNNAMED
    for mode in (pb.SUBMIT_MODE_RUN, pb.SUBMIT_MODE_VALIDATE, pb.SUBMIT_MODE_EXPLAIN):
        assert (await named_only.answer("Submit", script(mode=mode)))[0] == DENIED
    assert made.named_query.created_by == "boss"


async def test_an_admin_who_may_run_named_queries_alone_makes_none(stage: Stage) -> None:
    """Or it would make what it may not run as text."""
    roles = [admin_pb.ROLE_SUBMIT, admin_pb.ROLE_TENANT_ADMIN, admin_pb.ROLE_NAMED_ONLY]
    admin = stage.caller("tenant_admin")
    key = await admin.call("CreateApiKey", admin_pb.CreateApiKeyRequest(subject="bot", roles=roles))
    bot = stage.caller_with(key.secret)
    answer, refusal = await bot.answer(
        "CreateNamedQuery", named_pb.CreateNamedQueryRequest(name="own", definition=SCRIPT)
    )
    assert answer == DENIED
    assert refusal is not None
    assert "named_only" in refusal.message


async def test_a_missing_role_is_named(stage: Stage) -> None:
    for rpc, caller, role in (
        ("Submit", "read_only", "submit"),
        ("Submit", "named_only", "submit"),
        ("GetStatus", "submit_only", "read"),
        ("Cancel", "read_only", "cancel"),
    ):
        answer, refusal = await stage.caller(caller).answer(rpc, ENTRIES[rpc].request(new_id()))
        assert (answer, refusal and refusal.code.name) == (DENIED, "PERMISSION_DENIED")
        assert refusal is not None
        assert refusal.metadata == {"role": role}
    _, shared = await stage.caller("user").answer("Cancel", pb.CancelRequest(query_id=stage.ids["shared"]))
    assert shared is not None
    assert shared.metadata == {"role": "tenant_admin"}
