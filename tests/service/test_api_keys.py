"""API keys at a whole service: who may manage them, and when one ceases to work."""

import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from google.protobuf import timestamp_pb2

from queryengine.app.service import Service
from queryengine.domain.key_text import new_key
from queryengine.v1 import admin_service_pb2 as pb
from tests.keyed import ADMIN, ALL, KeyApi, Keyed, keyed
from tests.support import COMPLETED, WAIT, Api, Gate, refused, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(
    tmp_path_factory: pytest.TempPathFactory,
    shared_folders: set[str],
    shared_services: list[Service],
) -> AsyncIterator[Keyed]:
    folder = tmp_path_factory.mktemp("keyed")
    async with keyed(folder) as found:
        shared_folders.add(str(folder))
        shared_services.append(found.service)
        yield found
        shared_services.remove(found.service)
    shared_folders.discard(str(folder))


async def test_a_key_that_was_created_works_by_both_schemes_for_its_tenant_and_subject(shared: Keyed) -> None:
    made = await shared.admin.create(label="nightly loads", cidrs=["127.0.0.0/8", "::1/128"])
    assert (made.key.tenant, made.key.subject, list(made.key.roles)) == ("acme", "etl", ALL)
    assert (made.key.label, list(made.key.cidrs)) == ("nightly loads", ["127.0.0.0/8", "::1/128"])
    assert made.key.created_by == "operator"
    assert made.secret.startswith(f"qe_{made.key.key_id}_")
    for scheme in ("ApiKey ", "apikey  ", "Bearer ", "bearer "):
        api = shared.by(made.secret, scheme=scheme)
        reply = await api.script("rows 3", wait_timeout=WAIT)
        assert (reply.status.state, reply.status.subject) == (COMPLETED, "etl")
        owner = shared.by(ADMIN.text, tenant="acme")
        assert (await owner.status(reply.status.query_id)).query_id == reply.status.query_id
        assert (
            await refused(shared.by(ADMIN.text, tenant="other").status(reply.status.query_id))
        ).code.name == "NOT_FOUND"


async def test_a_call_without_a_credential_is_refused(shared: Keyed) -> None:
    refusal = await refused(Api(shared.channel, "acme").listed())
    assert (refusal.code.name, refusal.reason) == ("UNAUTHENTICATED", "CREDENTIAL_MISSING")
    assert "ApiKey" in refusal.message


async def test_keys_that_do_not_work_are_refused_in_the_same_words(shared: Keyed) -> None:
    made, ending = await shared.admin.create(), await shared.admin.create(expire_time=in_seconds(shared, 60))
    afar = await shared.admin.create(cidrs=["192.0.2.0/24"])
    revoked = await shared.admin.create()
    await shared.admin.revoke(revoked.key.key_id)
    shared.clock.ahead_us += 61_000_000
    good = made.secret
    texts = [
        new_key().text,
        good[:-1],
        good[:-1] + ("1" if good[-1] == "0" else "0"),
        good + "0",
        good.upper(),
        good.replace("qe_", "qe-"),
        good[: len("qe_") + 12],
        f"{good} {good}",
        "",
        "qe_",
        "x" * 8_000,
        ending.secret,
        revoked.secret,
        afar.secret,
    ]
    answers = [await refused(shared.by(text).listed()) for text in texts]
    first = answers[0]
    assert (first.code.name, first.reason) == ("UNAUTHENTICATED", "CREDENTIAL_INVALID")
    assert first.metadata == {"authenticator": "api_key"}
    assert {(each.code, each.message, each.trailers) for each in answers} == {
        (first.code, first.message, first.trailers)
    }
    assert await shared.by(good).works()


def in_seconds(shared: Keyed, seconds: int) -> timestamp_pb2.Timestamp:
    made = timestamp_pb2.Timestamp()
    made.FromMicroseconds(shared.clock.now_us() + seconds * 1_000_000)
    return made


async def test_a_revoked_key_stops_at_once_and_its_stream_at_the_next_page(shared: Keyed, tmp_path: Path) -> None:
    made = await shared.admin.create()
    api = shared.by(made.secret)
    gate = Gate(tmp_path / "gate")
    query_id = (await api.script(f"rows 5 size 100000; {gate.script}; rows 50 size 100000")).status.query_id
    await api.has_rows(query_id)
    stream = api.stream(query_id)
    await stream.to("page")
    revoked = await shared.admin.revoke(made.key.key_id)
    assert revoked.key.HasField("revoke_time")
    assert not await api.works()
    gate.open()
    refusal = await refused(stream.all())
    assert (refusal.code.name, refusal.reason) == ("UNAUTHENTICATED", "CREDENTIAL_INVALID")
    pages = [event for event in stream.events if event.WhichOneof("event") == "page"]
    assert sum(event.page.row_count for event in pages) < 55
    # The query goes on for whoever may see it, and again is no other answer.
    owner = shared.by(ADMIN.text, tenant="acme")
    assert (await owner.ended(query_id)).state == COMPLETED
    assert (await shared.admin.revoke(made.key.key_id)).key == revoked.key


@pytest.mark.parametrize("watch", ["watch", "watch_all"])
async def test_a_revoked_key_ends_streams_of_states_too(shared: Keyed, tmp_path: Path, watch: str) -> None:
    made = await shared.admin.create()
    api, gate = shared.by(made.secret), Gate(tmp_path / "gate")
    query_id = (await api.script(f"rows 1; {gate.script}; rows 1")).status.query_id
    stream = api.watch(query_id) if watch == "watch" else api.watch_all()
    await stream.read()
    await shared.admin.revoke(made.key.key_id)
    gate.open()
    assert (await refused(stream.all())).reason == "CREDENTIAL_INVALID"


async def test_a_rotated_key_stops_at_once_without_grace(shared: Keyed) -> None:
    old = await shared.admin.create(label="loads", cidrs=["127.0.0.0/8"])
    rotated = await shared.admin.rotate(old.key.key_id)
    assert not await shared.by(old.secret).works()
    assert await shared.by(rotated.secret).works()
    new = rotated.key
    assert (new.replaces, new.label, new.subject) == (old.key.key_id, "loads", "etl")
    assert (list(new.roles), list(new.cidrs)) == (ALL, ["127.0.0.0/8"])
    assert new.key_id != old.key.key_id
    assert rotated.replaced.HasField("revoke_time")
    refusal = await refused(shared.admin.rotate(old.key.key_id))
    assert (refusal.code.name, refusal.reason) == ("NOT_FOUND", "API_KEY_NOT_FOUND")


async def test_a_rotated_key_works_for_its_grace(shared: Keyed) -> None:
    old = await shared.admin.create()
    rotated = await shared.admin.rotate(old.key.key_id, grace=timedelta(hours=1))
    assert await shared.by(old.secret).works()
    assert await shared.by(rotated.secret).works()
    assert not rotated.replaced.HasField("revoke_time")
    shared.clock.ahead_us += 3_601_000_000
    assert not await shared.by(old.secret).works()
    assert await shared.by(rotated.secret).works()


async def test_a_grace_makes_no_key_live_longer(shared: Keyed) -> None:
    old = await shared.admin.create(expire_time=in_seconds(shared, 60))
    rotated = await shared.admin.rotate(old.key.key_id, grace=timedelta(hours=1))
    assert rotated.replaced.expire_time == old.key.expire_time
    life = rotated.key.expire_time.ToMicroseconds() - rotated.key.create_time.ToMicroseconds()
    assert life == old.key.expire_time.ToMicroseconds() - old.key.create_time.ToMicroseconds()


async def test_keys_are_listed_without_their_secrets(shared: Keyed) -> None:
    admin = shared.by(ADMIN.text, tenant="listed")
    made = [await admin.create(subject=f"s{number % 2}", label=str(number)) for number in range(5)]
    await admin.revoke(made[0].key.key_id)
    first = await admin.keys(page_size=3)
    assert [key.label for key in first.keys] == ["4", "3", "2"]
    assert [key.label for key in (await admin.keys(page_size=3, page_token=first.next_page_token)).keys] == ["1"]
    assert [key.label for key in (await admin.keys(include_ended=True, subject="s0")).keys] == ["4", "2", "0"]
    everything = str(await admin.keys(include_ended=True))
    for each in made:
        assert each.key.key_id in everything
        assert each.secret.rpartition("_")[2] not in everything


async def test_the_last_use_of_a_key_is_shown(shared: Keyed) -> None:
    made = await shared.admin.create(subject="used")
    assert not made.key.HasField("last_use_time")
    before_us = shared.clock.now_us()
    assert await shared.by(made.secret).works()
    await shared.service.parts.identity.index.write_uses()
    (key,) = (await shared.admin.keys(subject="used")).keys
    assert key.last_use_time.ToMicroseconds() >= before_us - 1


# Who may manage keys


async def test_a_tenant_admin_manages_keys_of_its_tenant_only(shared: Keyed) -> None:
    acme, other = await shared.tenant_admin("acme"), await shared.tenant_admin("other")
    made = await acme.create()
    assert (made.key.tenant, made.key.created_by) == ("acme", "boss")
    for call in (other.rotate, other.revoke):
        refusal = await refused(call(made.key.key_id))
        assert (refusal.code.name, refusal.reason) == ("NOT_FOUND", "API_KEY_NOT_FOUND")
    assert made.key.key_id not in {key.key_id for key in (await other.keys()).keys}
    named = KeyApi(shared.channel, acme.metadata[0][1].removeprefix("ApiKey "), tenant="other")
    assert (await refused(named.keys())).reason == "TENANT_MISMATCH"
    await acme.revoke(made.key.key_id)
    assert not await shared.by(made.secret).works()


@pytest.mark.parametrize("method", ["create", "keys", "rotate", "revoke"])
async def test_managing_keys_takes_a_role(shared: Keyed, method: str) -> None:
    made = await shared.admin.create(roles=[*ALL, pb.ROLE_WRITE])
    arguments = [made.key.key_id] if method in ("rotate", "revoke") else []
    refusal = await refused(getattr(shared.by(made.secret), method)(*arguments))
    assert (refusal.code.name, refusal.reason) == ("PERMISSION_DENIED", "ROLE_MISSING")
    assert refusal.metadata == {"role": "tenant_admin"}


@pytest.mark.parametrize(("role", "name"), [(pb.ROLE_WRITE, "write"), (pb.ROLE_ADMIN, "admin")])
async def test_nobody_gives_or_rotates_into_roles_that_it_lacks(shared: Keyed, role: int, name: str) -> None:
    boss = await shared.tenant_admin()
    higher = await shared.admin.create(roles=[role])
    for call in (boss.create(roles=[pb.ROLE_READ, role]), boss.rotate(higher.key.key_id)):
        refusal = await refused(call)
        assert (refusal.code.name, refusal.reason) == ("PERMISSION_DENIED", "ROLE_MISSING")
        assert refusal.metadata == {"role": name}
    assert (await refused(shared.by(higher.secret).script("rows 1"))).reason == "ROLE_MISSING"


async def test_a_tenant_admin_ends_any_key_but_an_admins(shared: Keyed) -> None:
    boss = await shared.tenant_admin()
    writing, admin = await shared.admin.create(roles=[pb.ROLE_WRITE]), await shared.admin.create(roles=[pb.ROLE_ADMIN])
    assert (await boss.revoke(writing.key.key_id)).key.HasField("revoke_time")
    assert (await refused(boss.revoke(admin.key.key_id))).metadata == {"role": "admin"}


async def test_whoever_may_run_named_queries_only_hands_out_no_more(shared: Keyed) -> None:
    boss = await shared.tenant_admin("named", pb.ROLE_NAMED_ONLY)
    assert (await refused(boss.create())).reason == "ROLE_MISSING"
    made = await boss.create(roles=[*ALL, pb.ROLE_NAMED_ONLY])
    refusal = await refused(shared.by(made.secret).script("rows 1"))
    assert (refusal.code.name, refusal.reason) == ("PERMISSION_DENIED", "ROLE_MISSING")
    free = await shared.tenant_admin("named")
    assert pb.ROLE_NAMED_ONLY in (await free.create(roles=[*ALL, pb.ROLE_NAMED_ONLY])).key.roles


BAD = {
    "no subject": ({"subject": ""}, "subject"),
    "subject too long": ({"subject": "x" * 129}, "subject"),
    "subject not ASCII": ({"subject": "zoë"}, "subject"),
    "no roles": ({"roles": []}, "roles"),
    "a restriction alone": ({"roles": [pb.ROLE_NAMED_ONLY]}, "roles"),
    "role unspecified": ({"roles": [0]}, "roles"),
    "role unknown": ({"roles": [99]}, "roles"),
    "label too long": ({"label": "x" * 256}, "label"),
    "label with a line break": ({"label": "a\nb"}, "label"),
    "no network": ({"cidrs": ["here"]}, "cidrs"),
    "an address inside a network": ({"cidrs": ["10.0.0.1/8"]}, "cidrs"),
    "too many networks": ({"cidrs": ["10.0.0.0/8"] * 33}, "cidrs"),
    "expired": ({"expire_time": timestamp_pb2.Timestamp(seconds=1)}, "expire_time"),
    "no time": ({"expire_time": timestamp_pb2.Timestamp(seconds=1 << 60)}, "expire_time"),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_field_is_named(shared: Keyed, case: str) -> None:
    fields, field = BAD[case]
    refusal = await refused(shared.admin.create(**fields))
    assert (refusal.code.name, refusal.reason, refusal.field) == ("INVALID_ARGUMENT", "INVALID_FIELD", field)


@pytest.mark.parametrize("grace", [timedelta(seconds=-1), timedelta(days=31)])
async def test_a_grace_is_from_none_to_30_days(shared: Keyed, grace: timedelta) -> None:
    made = await shared.admin.create()
    assert (await refused(shared.admin.rotate(made.key.key_id, grace=grace))).field == "grace"
    assert await shared.by(made.secret).works()


@pytest.mark.parametrize("key_id", ["", "x", "0" * 12, "../../etc", "é", "a\0", "x" * 100_000, "%s", "_' OR 1=1"])
async def test_unknown_and_malformed_ids_are_one_answer(shared: Keyed, key_id: str) -> None:
    answers = [
        await refused(call(each)) for call in (shared.admin.revoke, shared.admin.rotate) for each in (key_id, "1")
    ]
    assert {(each.code.name, each.reason, each.message) for each in answers} == {
        ("NOT_FOUND", "API_KEY_NOT_FOUND", answers[0].message)
    }


# What lasts, and what is nowhere


async def test_keys_outlive_a_restart_and_their_secrets_are_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    state = tmp_path / "state"
    async with keyed(state) as first:
        made = await first.admin.create(label="kept")
        revoked = await first.admin.create()
        await first.admin.revoke(revoked.key.key_id)
        assert await first.by(made.secret).works()
        assert not await first.by(made.secret[:-1]).works()
    async with keyed(state) as second:
        assert await second.by(made.secret).works()
        assert not await second.by(revoked.secret).works()
        (kept,) = (await second.admin.keys()).keys
        # Written when the first server stopped.
        assert kept.HasField("last_use_time")
    for text in (made.secret, revoked.secret, ADMIN.text):
        secret = text.rpartition("_")[2]
        assert secret not in caplog.text
        for path in state.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


async def test_a_key_that_another_server_revoked_stops_within_5_seconds(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with keyed(state) as found:
        made = await found.admin.create()
        api = found.by(made.secret)
        assert await api.works()
        _revoke_behind_its_back(state / "queries.db", made.key.key_id)
        await until(lambda: _stopped(api))


async def _stopped(api: KeyApi) -> bool:
    return not await api.works()


def _revoke_behind_its_back(database: Path, key_id: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE api_key_changes SET count = count + 1")
        connection.execute(
            "UPDATE api_keys SET revoke_us = 1, end_us = 1, change = (SELECT count FROM api_key_changes)"
            " WHERE key_id = ?",
            (key_id,),
        )
