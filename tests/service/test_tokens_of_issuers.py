"""Tokens before a real server: who may call, streams that outlive their token, keys of an issuer that change."""

from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest

from queryengine.domain.reloads import Trigger
from queryengine.v1 import query_service_pb2 as pb
from tests.guarded import LEEWAY_SECONDS, LIFE_SECONDS, Holder, MovableClock, guarded, issuer
from tests.http_server import document
from tests.settings_file import with_file, write_settings
from tests.support import RUNNING, WAIT, Gate, Received, batch_of, refused
from tests.unit.jwt_keys import OTHER_RSA, RSA, bearer, claims, jwk, key_set, public_pem, token
from tests.unit.key_server import key_server

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_token_says_whose_queries_they_are(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (_, ann, clock):
        query_id = (await ann.submit("SELECT 1 AS a", wait_timeout=WAIT)).status.query_id
        assert (await ann.status(query_id)).subject == "ann"
        assert (await ann.read(query_id)).table()["a"].to_pylist() == [1]
        other = Holder(ann.channel, clock, tenant="other")
        assert (await refused(other.status(query_id))).reason == "QUERY_NOT_FOUND"


async def test_every_call_without_a_good_token_is_refused(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (_, ann, clock):
        bad: dict[str, Sequence[tuple[str, str]]] = {
            "CREDENTIAL_MISSING": (("x-tenant-id", "acme"),),
            "CREDENTIAL_INVALID": bearer(token(claims(clock.seconds), key=OTHER_RSA)),
            "TOKEN_EXPIRED": bearer(token(claims(clock.seconds, exp=clock.seconds - 3600))),
        }
        for reason, metadata in bad.items():
            ann.metadata = tuple(metadata)
            for call in (ann.submit("SELECT 1"), ann.listed(), ann.watch_all(), ann.stream("x"), ann.refresh()):
                refusal = await refused(call)
                assert (refusal.code.name, refusal.reason) == ("UNAUTHENTICATED", reason)
                assert metadata[0][1].removeprefix("Bearer ") not in f"{refusal}"


async def test_two_credentials_and_other_names_are_refused(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (_, ann, _clock):
        good = ann.metadata
        ann.metadata = (*good, *good)
        assert (await refused(ann.listed())).reason == "CREDENTIAL_INVALID"
        ann.metadata = (*good, ("x-tenant-id", "other"))
        refusal = await refused(ann.listed())
        assert (refusal.code.name, refusal.reason) == ("PERMISSION_DENIED", "TENANT_MISMATCH")
        assert refusal.metadata == {"field": "x-tenant-id"}
        ann.metadata = (*good, ("x-tenant-id", "acme"), ("x-user-id", "ann"))
        await ann.listed()


async def test_a_stream_ends_with_its_token_and_goes_on_at_that_row_with_a_fresh_one(
    tmp_path: Path,
) -> None:
    gate = Gate(tmp_path / "gate")
    async with guarded(tmp_path) as (_, ann, clock):
        query_id = (await ann.script(f"rows 3; {gate.script}; rows 2")).status.query_id
        stream = ann.stream(query_id)
        first = await stream.to("page")
        assert batch_of(first.page)["n"].to_pylist() == [0, 1, 2]
        clock.ahead_seconds = LIFE_SECONDS + LEEWAY_SECONDS + 1
        gate.open()
        refusal = await refused(stream)
        assert (refusal.code.name, refusal.reason) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")
        assert refusal.metadata == {"authenticator": "jwt", "next_row": "3", "attempt": "1"}
        # The same token opens nothing.
        assert (await refused(ann.stream(query_id, start_row=3, attempt=1))).reason == "TOKEN_EXPIRED"
        ann.renew()
        rest = await ann.read(query_id, start_row=int(refusal.metadata["next_row"]), attempt=1)
        assert rest.table()["n"].to_pylist() == [3, 4]
        assert rest.end is not None
        assert rest.end.total_rows == 5


async def test_a_token_ends_between_two_stored_pages_too(tmp_path: Path) -> None:
    """One that is whole, with a reader who is slow: what was sent before the end is whole pages."""
    async with guarded(tmp_path) as (_, ann, clock):
        many = "SELECT range AS n, repeat('x', 100) AS s FROM range(200_000)"
        query_id = (await ann.submit(many, wait_timeout=WAIT)).status.query_id
        whole = (await ann.read(query_id)).table()
        stream = ann.stream(query_id)
        await stream.to("page")
        clock.ahead_seconds = LIFE_SECONDS + LEEWAY_SECONDS + 1
        refusal = await refused(stream)
        got = Received(stream.events)
        assert refusal.reason == "TOKEN_EXPIRED"
        assert int(refusal.metadata["next_row"]) == got.next_row < 200_000
        ann.renew()
        rest = await ann.read(query_id, start_row=got.next_row, attempt=1)
        assert [*got.table()["n"].to_pylist(), *rest.table()["n"].to_pylist()] == whole["n"].to_pylist()


async def test_streams_of_states_end_with_their_token(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    async with guarded(tmp_path) as (_, ann, clock):
        query_id = (await ann.script(f"rows 3; {gate.script}")).status.query_id
        await ann.reached(query_id, RUNNING)
        states, changes = ann.watch(query_id), ann.watch_all()
        await states.to("status")
        await changes.to("reset")
        clock.ahead_seconds = LIFE_SECONDS + LEEWAY_SECONDS + 1
        gate.open()
        for stream in (states, changes):
            refusal = await refused(stream)
            assert (refusal.code.name, refusal.reason) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")
            assert refusal.metadata == {"authenticator": "jwt"}


async def test_keys_that_an_issuer_publishes_are_trusted(tmp_path: Path) -> None:
    async with key_server() as server:
        server.answer = document(key_set(jwk(RSA, "first")))
        async with guarded(tmp_path, issuer(tmp_path, jwks_url=server.url)) as (_, ann, _clock):
            await ann.submit("SELECT 1", wait_timeout=WAIT)
            forged = token(claims(_clock.seconds), key=OTHER_RSA, kid="first", jku=server.url)
            ann.metadata = bearer(forged)
            assert (await refused(ann.submit("SELECT 1"))).reason == "CREDENTIAL_INVALID"
        assert server.requests == 1


async def test_without_the_keys_of_the_issuer_calls_are_to_be_tried_again(tmp_path: Path) -> None:
    async with (
        key_server() as server,
        guarded(tmp_path, issuer(tmp_path, jwks_url=server.url), {"type": "none"}) as (_, ann, _clock),
    ):
        server.answer = b""
        refusal = await refused(ann.listed())
        assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "AUTHENTICATION_UNAVAILABLE")
        assert refusal.retry_seconds


async def test_another_key_holds_once_its_file_was_loaded_again(tmp_path: Path) -> None:
    async with (
        with_file(tmp_path, auth={"authenticators": [issuer(tmp_path)]}) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        clock = MovableClock()
        old, new = Holder(channel, clock), Holder(channel, clock)
        new.metadata = bearer(token(claims(clock.seconds), key=OTHER_RSA))
        await old.listed()
        assert (await refused(new.listed())).reason == "CREDENTIAL_INVALID"
        (tmp_path / "public.pem").write_bytes(public_pem(OTHER_RSA))
        assert (await service.reload(Trigger.SIGNAL)).last.changed == ("auth.authenticators",)
        await new.listed()
        assert (await refused(old.listed())).reason == "CREDENTIAL_INVALID"
        # A key that cannot be used changes nothing.
        (tmp_path / "public.pem").write_text("no key")
        (mistake,) = (await service.reload(Trigger.SIGNAL)).last.mistakes
        assert "holds no public key" in mistake
        await new.listed()


async def test_another_place_of_keys_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """The first is asked no more, and an issuer whose settings stay keeps its keys."""
    async with key_server() as first, key_server() as second, key_server() as other:
        first.answer = other.answer = document(key_set(jwk(RSA, "first")))
        second.answer = document(key_set(jwk(OTHER_RSA, "second")))
        stays = issuer(tmp_path, issuer="https://other.test/", jwks_url=other.url)
        before, after = issuer(tmp_path, jwks_url=first.url), issuer(tmp_path, jwks_url=second.url)
        async with (
            with_file(tmp_path, auth={"authenticators": [before, stays]}) as service,
            grpc.aio.insecure_channel(service.address) as channel,
        ):
            clock = MovableClock()
            old, new = Holder(channel, clock), Holder(channel, clock)
            theirs = Holder(channel, clock, iss="https://other.test/")
            new.metadata = bearer(token(claims(clock.seconds), key=OTHER_RSA))
            await old.listed()
            await theirs.listed()
            write_settings(tmp_path, auth={"authenticators": [after, stays]})
            await service.reload(Trigger.SIGNAL)
            await new.listed()
            await theirs.listed()
            assert (await refused(old.listed())).reason == "CREDENTIAL_INVALID"
            assert (first.requests, second.requests, other.requests) == (1, 1, 1)


async def test_no_rpc_of_a_service_with_issuers_is_open(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (_, ann, _clock):
        ann.metadata = ()
        for described in pb.DESCRIPTOR.services_by_name["QueryService"].methods:
            request = getattr(pb, described.input_type.name)()
            call = ann.call(described.name, request)
            refusal = await refused(call.read() if described.server_streaming else call)
            assert refusal.reason == "CREDENTIAL_MISSING", described.name
