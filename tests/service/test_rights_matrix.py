"""Who may do what: every RPC of every service, as every kind of caller, with every kind of id.

Driven by the contract: an RPC that is added without an entry here fails. An answer is the reason of a refusal, or OK.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from queryengine.app.service import Service
from queryengine.domain.clock import SystemClock
from queryengine.domain.errors import Reason, error
from queryengine.domain.identity import Principal, Role
from queryengine.edges.grpc.server import SERVICES
from queryengine.policy.identity import Presented
from queryengine.v1 import admin_service_pb2 as admin_pb
from queryengine.v1 import query_service_pb2 as pb
from tests.support import COMPLETED, QUEUED, RUNNING, WAIT, Gate, Refusal, new_id, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHARED = {"shared": "true"}
USER = frozenset({Role.SUBMIT, Role.READ, Role.CANCEL})
OK = "OK"
UNSEEN, DENIED, REUSED = "QUERY_NOT_FOUND", "ROLE_MISSING", "QUERY_ID_REUSED"
INVALID = "INVALID_FIELD"

CALLERS: Mapping[str, tuple[str, frozenset[Role]]] = {
    "user": ("ann", USER),
    "named_only": ("ann", USER | {Role.NAMED_ONLY}),
    "read_only": ("ann", frozenset({Role.READ})),
    "submit_only": ("ann", frozenset({Role.SUBMIT})),
    "cancel_only": ("ann", frozenset({Role.CANCEL})),
    "without_subject": ("", USER),
    "without_role": ("ann", frozenset()),
    "tenant_admin": ("boss", USER | {Role.TENANT_ADMIN}),
    "tenant_auditor": ("audit", frozenset({Role.READ, Role.TENANT_ADMIN})),
    "admin": ("root", USER | {Role.ADMIN}),
    "admin_role_alone": ("root", frozenset({Role.ADMIN})),
    "admin_from_elsewhere": ("root", USER | {Role.ADMIN}),
    "neighbour": ("ann", USER | {Role.TENANT_ADMIN}),
    "expired": ("ann", USER),
    "revoked": ("ann", USER),
    "nobody": ("", frozenset()),
}
"""By the name on its badge: the subject and roles of each kind of caller. All are of the same tenant, but for the
neighbour, who is the admin of another one, and the admin from elsewhere, who is an admin of a third and names this one.
"""
UNIDENTIFIED: Final = {"expired": "TOKEN_EXPIRED", "revoked": "CREDENTIAL_INVALID", "nobody": "CREDENTIAL_MISSING"}
KINDS: Final = ("own", "tenant", "nameless", "shared", "other", "random", "malformed")
"""Of ids: of a query of ann, of another user, of a caller without a subject, of another user who shares it, and of
another tenant; one that nobody has used; and what is no id.
"""


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
}

METHODS = {method.name: method for service in SERVICES for method in service.methods}


def method_of(rpc: str) -> Any:
    """The method of an entry, whose name may say more."""
    return METHODS[rpc.partition(" ")[0]]


class Badges:
    """An authenticator of the tests: `authorization: Badge NAME TENANT`."""

    kind = "badge"
    expects = "a badge"
    by_certificate = False

    async def authenticate(self, presented: Presented) -> Principal | None:
        shown = presented.authorization()
        if shown is None or shown.scheme != "badge":
            return None
        name, _, tenant = shown.value.partition(" ")
        if name == "expired":
            raise error(Reason.TOKEN_EXPIRED, "it has expired")
        if name == "revoked":
            raise error(Reason.CREDENTIAL_INVALID, "it is revoked")
        subject, roles = CALLERS.get(name, (name, USER))
        return Principal(tenant=tenant, subject=subject, roles=roles, authenticator=self.kind)

    def still_valid(self, _: Principal) -> None:
        """Always."""


def script(text: str = "rows 3", **fields: Any) -> pb.SubmitRequest:
    return pb.SubmitRequest(sql=text, engine="scripted", wait_timeout=WAIT, **fields)


class Caller:
    """Somebody with a badge."""

    def __init__(self, channel: grpc.aio.Channel, name: str, tenant: str) -> None:
        self._channel = channel
        home = {"neighbour": f"{tenant}-next", "admin_from_elsewhere": f"{tenant}-third"}.get(name, tenant)
        self.metadata = [("authorization", f"Badge {name} {home}")] if name != "nobody" else []
        if name == "admin_from_elsewhere":
            self.metadata.append(("x-tenant-id", tenant))

    def open(self, rpc: str, request: Message) -> Any:
        """A call, begun."""
        method = method_of(rpc)
        kind = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        multicallable = kind(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=method.output_type._concrete_class.FromString,
        )
        return multicallable(request, metadata=self.metadata, timeout=60.0)

    async def call(self, rpc: str, request: Message) -> Any:
        """The reply, or the messages of a stream up to its end or, where it has none, up to the first."""
        call = self.open(rpc, request)
        if not method_of(rpc).server_streaming:
            return await call
        messages = []
        async for message in call:
            messages.append(message)
            if rpc == "WatchQueries":
                call.cancel()
                break
        return messages

    async def answer(self, rpc: str, request: Message) -> tuple[str, Refusal | None]:
        """The reason of a refusal, and all of it, or OK."""
        try:
            await self.call(rpc, request)
        except grpc.aio.AioRpcError as cause:
            refusal = Refusal.of(cause)
            return refusal.reason or refusal.code.name, refusal
        return OK, None

    async def submitted(self, **fields: Any) -> str:
        reply = await self.call("Submit", script(**fields))
        assert reply.status.state == COMPLETED
        return str(reply.status.query_id)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory, shared_folders: set[str]) -> AsyncIterator[Service]:
    """A service that asks for badges."""
    folder = tmp_path_factory.mktemp("guarded")
    async with serving(folder, engines={"scripted": {"type": "scripted", "workers": 2}}) as service:
        service.parts.identity.authentication.adopt([Badges()])
        shared_folders.add(str(folder))
        # They begin when they are needed, which would look like the doing of a test.
        await service.parts.sandboxes.start_all()
        yield service
    shared_folders.discard(str(folder))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def connection(guarded: Service) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(guarded.address) as channel:
        await channel.channel_ready()
        yield channel


class Stage:
    """A tenant with a query of each kind, and who calls."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.tenant = f"tenant-{new_id()}"
        self._channel = channel
        self.ids: dict[str, str] = {}

    def caller(self, name: str) -> Caller:
        return Caller(self._channel, name, self.tenant)

    async def set_up(self) -> None:
        self.ids = {
            "own": await self.caller("user").submitted(),
            "tenant": await self.caller("bob").submitted(),
            "nameless": await self.caller("without_subject").submitted(),
            "shared": await self.caller("bob").submitted(labels=SHARED),
            "other": await self.caller("neighbour").submitted(),
        }

    def id_of(self, kind: str) -> str:
        return self.ids.get(kind) or (new_id() if kind == "random" else "../../etc")


@pytest_asyncio.fixture(loop_scope="session")
async def stage(connection: grpc.aio.Channel) -> Stage:
    stage = Stage(connection)
    await stage.set_up()
    return stage


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


@pytest.mark.parametrize("rpc", PLAIN)
async def test_whoever_calls_gets_what_the_table_says(stage: Stage, rpc: str) -> None:
    entry = PLAIN[rpc]
    found = {caller: (await stage.caller(caller).answer(rpc, entry.request()))[0] for caller in CALLERS}
    assert found == entry.answers


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
    assert await is_alive(stage, ids["bob"])
    for subject in ("bob", "nobody"):
        request = pb.CancelQueriesRequest(labels={"job": "nightly"}, subject=subject)
        assert not (await stage.caller("user").call("CancelQueries", request)).query_ids
    request = pb.CancelQueriesRequest(labels={"job": "nightly"}, wait_timeout=WAIT)
    done = await stage.caller("tenant_admin").call("CancelQueries", request)
    assert (list(done.query_ids), done.cancelled) == ([ids["bob"]], 1)


async def is_alive(stage: Stage, query_id: str) -> bool:
    reply = await stage.caller("tenant_admin").call("GetStatus", pb.GetStatusRequest(query_id=query_id))
    return reply.status.state in (QUEUED, RUNNING)


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
def counted_reads(service: Service, patch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """One entry for each read of the store."""
    reads: list[None] = []
    reader = service.parts.state.store._reader
    read: Callable[[Any], Awaitable[Any]] = reader.read

    async def counting(work: Any) -> Any:
        reads.append(None)
        return await read(work)

    with patch.context() as patched:
        patched.setattr(reader, "read", counting)
        yield reads


@pytest.mark.parametrize("rpc", [rpc for rpc in ENTRIES if rpc != "Submit"])
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
                request = ENTRIES[rpc].request(stage.id_of(kind))
                assert (await stage.caller("user").answer(rpc, request))[0] == UNSEEN
                assert len(reads) == 1, (kind, remembered)
            assert registry.in_memory(stage.tenant, stage.id_of(kind)) is None


async def test_without_a_role_nothing_is_looked_up(
    stage: Stage, guarded: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(guarded, stage.tenant, stage.ids["own"])
    with counted_reads(guarded, monkeypatch) as reads:
        for rpc, entry in ENTRIES.items():
            answer, _ = await stage.caller("without_role").answer(rpc, entry.request(stage.ids["own"]))
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
    request = replace_wait(script(query_id=query_id))
    submitting = asyncio.ensure_future(stage.caller("bob").call("Submit", request))
    await begun.wait()
    status = pb.GetStatusRequest(query_id=query_id)
    waits = asyncio.ensure_future(stage.caller("tenant_admin").call("GetStatus", status))
    assert (await stage.caller("user").answer("GetStatus", status))[0] == UNSEEN
    assert not waits.done()
    goes_on.set()
    await submitting
    assert (await waits).status.query_id == query_id


def replace_wait(request: pb.SubmitRequest) -> pb.SubmitRequest:
    """The same without waiting for its end."""
    request.ClearField("wait_timeout")
    return request
