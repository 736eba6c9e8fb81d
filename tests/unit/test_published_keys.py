"""The keys that an issuer publishes: fetched ahead, kept when it is away, and never fetched often for anybody."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from queryengine.domain.errors import Code, QueryEngineError, Reason
from queryengine.live.tasks import Tasks
from queryengine.policy.fetching import Document, FetchFailed
from queryengine.policy.identity import Authentication, Presented
from queryengine.policy.identity.key_set_url import FORCED_SECONDS, UNKNOWN_SECONDS, KeySetLimits, KeySetUrl
from queryengine.policy.identity.tokens import Tokens
from tests.http_server import Answering, document, listening
from tests.support import until
from tests.unit.jwt_keys import ED25519, OTHER_RSA, P256, RSA, SMALL_RSA, SetClock, bearer, claims, jwk, key_set, token
from tests.unit.key_server import KeyServer, key_server
from tests.unit.test_tokens import rules

LIMITS = KeySetLimits(refresh_seconds=300, stale_seconds=86_400)
ALLOWED = frozenset({"RS256", "ES256", "EdDSA"})
HOUR = 3600
HANGS = 60.0
"""Longer than any answer of these tests takes."""


class Issuer:
    """An issuer, who verifies its tokens by what it publishes, and the clock of both."""

    def __init__(self, server: KeyServer, *, seconds: float = HANGS, bytes_max: int = 100_000) -> None:
        self.server = server
        self.clock = SetClock()
        self.document = Document(server.url, seconds=seconds, bytes_max=bytes_max)
        self.keys = KeySetUrl(self.document, algorithms=ALLOWED, limits=LIMITS, clock=self.clock)
        self.tokens = Tokens(rules(), self.keys, algorithms=ALLOWED, clock=self.clock)
        self.authentication = Authentication((self.tokens,), self.clock)

    def publish(self, *keys: dict[str, Any]) -> None:
        self.server.answer = document(key_set(*keys))

    async def tenant(self, **header: Any) -> str:
        """Of a fresh token that is signed by RSA, unless another `key` is given."""
        text = token(claims(self.clock.seconds), **header)
        return (await self.authentication.identify(Presented(bearer(text)))).principal.tenant

    async def refusal(self, **header: Any) -> Reason:
        with pytest.raises(QueryEngineError) as refused:
            await self.tenant(**header)
        return refused.value.failure.reason


@asynccontextmanager
async def issuing(*keys: dict[str, Any], **limits: Any) -> AsyncIterator[Issuer]:
    async with key_server() as server:
        issuer = Issuer(server, **limits)
        issuer.publish(*keys)
        try:
            yield issuer
        finally:
            await issuer.keys.close()


FIRST, SECOND = jwk(RSA, "first"), jwk(OTHER_RSA, "second")


async def test_keys_are_fetched_once_and_calls_answered_from_memory() -> None:
    async with issuing(FIRST, jwk(P256, "ec", "ES256"), jwk(ED25519, "ed", "EdDSA")) as issuer:
        for _ in range(3):
            assert await issuer.tenant(kid="first") == "acme"
            assert await issuer.tenant(kid="ec", algorithm="ES256") == "acme"
            assert await issuer.tenant(kid="ed", algorithm="EdDSA") == "acme"
            assert await issuer.tenant() == "acme"
        assert issuer.server.requests == 1


async def test_calls_that_come_at_once_share_one_fetch() -> None:
    async with issuing(FIRST) as issuer:
        assert await asyncio.gather(*(issuer.tenant(kid="first") for _ in range(50))) == ["acme"] * 50
        assert issuer.server.requests == 1


async def test_ten_thousand_unknown_kids_cause_one_fetch_in_thirty_seconds() -> None:
    async with issuing(FIRST) as issuer:
        assert await issuer.tenant(kid="first") == "acme"
        for number in range(10_000):
            assert not await issuer.keys.find(f"made-up-{number}", "RS256")
            issuer.clock.seconds += 30 / 10_000
        # The clock stands at thirty seconds after the first fetch: one more, which is the first that was forced.
        for number in range(10_000):
            assert not await issuer.keys.find(f"others-{number}", "RS256")
        assert issuer.server.requests == 2
        assert await issuer.refusal(kid="made-up-1") is Reason.CREDENTIAL_INVALID
        assert len(issuer.keys._unknown) <= 1000


async def test_a_key_that_is_new_is_found_at_once_by_its_kid() -> None:
    async with issuing(FIRST) as issuer:
        assert await issuer.tenant(kid="first") == "acme"
        issuer.publish(FIRST, SECOND)
        issuer.clock.seconds += FORCED_SECONDS
        assert await issuer.tenant(kid="second", key=OTHER_RSA) == "acme"
        assert issuer.server.requests == 2


async def test_a_kid_that_is_known_to_be_unknown_causes_no_other_fetch_for_a_while() -> None:
    async with issuing(FIRST) as issuer:
        assert await issuer.tenant(kid="first") == "acme"
        issuer.clock.seconds += FORCED_SECONDS
        assert await issuer.refusal(kid="old") is Reason.CREDENTIAL_INVALID
        issuer.clock.seconds += FORCED_SECONDS
        assert await issuer.refusal(kid="old") is Reason.CREDENTIAL_INVALID
        assert issuer.server.requests == 2
        issuer.clock.seconds += UNKNOWN_SECONDS
        assert await issuer.refusal(kid="old") is Reason.CREDENTIAL_INVALID
        assert issuer.server.requests == 3


async def test_an_issuer_may_be_away_for_an_hour_and_its_keys_go_on() -> None:
    async with issuing(FIRST) as issuer:
        assert await issuer.tenant(kid="first") == "acme"
        issuer.server.answer = document(b"", status="503 Service Unavailable")
        for _ in range(12):
            issuer.clock.seconds += 300
            await issuer.keys.refresh()
            assert await issuer.tenant(kid="first") == "acme"
        assert issuer.server.requests == 13
        issuer.publish(SECOND)
        issuer.clock.seconds += 300
        await issuer.keys.refresh()
        assert await issuer.refusal(kid="first") is Reason.CREDENTIAL_INVALID
        assert await issuer.tenant(kid="second", key=OTHER_RSA) == "acme"


async def test_keys_that_cannot_be_renewed_for_too_long_are_not_trusted() -> None:
    async with issuing(FIRST) as issuer:
        assert await issuer.tenant(kid="first") == "acme"
        issuer.server.answer = document(b"", status="503 Service Unavailable")
        issuer.clock.seconds += LIMITS.stale_seconds + 1
        await issuer.keys.refresh()
        assert await issuer.refusal(kid="first") is Reason.AUTHENTICATION_UNAVAILABLE


async def test_without_any_keys_calls_are_to_be_tried_again_and_not_taken_for_bad() -> None:
    async with issuing() as issuer:
        issuer.server.answer = document(b"", status="404 Not Found")
        with pytest.raises(QueryEngineError) as refused:
            await issuer.tenant(kid="first")
        failure = refused.value.failure
        assert (failure.reason, failure.code) == (Reason.AUTHENTICATION_UNAVAILABLE, Code.UNAVAILABLE)
        assert failure.retryable
        assert failure.retry_after_seconds
        # Not a fetch for each of them.
        for _ in range(20):
            assert await issuer.refusal(kid="first") is Reason.AUTHENTICATION_UNAVAILABLE
        assert issuer.server.requests == 1
        issuer.publish(FIRST)
        issuer.clock.seconds += issuer.keys.seconds_to_refresh()
        await issuer.keys.refresh()
        assert await issuer.tenant(kid="first") == "acme"


async def test_a_token_is_verified_again_when_the_keys_have_changed() -> None:
    async with issuing(FIRST) as issuer:
        text = bearer(token(kid="first"))
        await issuer.authentication.identify(Presented(text))
        issuer.publish(SECOND)
        await issuer.keys.refresh()
        with pytest.raises(QueryEngineError) as refused:
            await issuer.authentication.identify(Presented(text))
        assert refused.value.failure.reason is Reason.CREDENTIAL_INVALID


async def test_keys_are_fetched_ahead_while_nobody_calls() -> None:
    async with issuing(FIRST) as issuer:
        tasks = Tasks()
        issuer.keys.start(tasks)
        await until(lambda: issuer.keys._fetched is not None)
        assert issuer.server.requests == 1
        assert issuer.keys.seconds_to_refresh() == LIMITS.refresh_seconds
        issuer.clock.seconds += 299
        assert issuer.keys.seconds_to_refresh() == 1
        issuer.clock.seconds += 1
        assert issuer.keys.seconds_to_refresh() == 0
        await issuer.keys.close()
        await tasks.close()


PASSED_OVER = {
    "a secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "x", "alg": "HS256"},
    "a private key": {**FIRST, "d": "AQAB", "kid": "x"},
    "for encryption": jwk(OTHER_RSA, "x", use="enc"),
    "for signing, not verifying": jwk(OTHER_RSA, "x", key_ops=["sign"]),
    "a weak key": jwk(SMALL_RSA, "x"),
    "for another algorithm": {**jwk(OTHER_RSA, "x"), "alg": "RS512"},
    "of an unknown kind": {"kty": "XYZ", "kid": "x"},
    "without its numbers": {"kty": "RSA", "kid": "x"},
    "numbers that are none": {"kty": "RSA", "kid": "x", "n": 7, "e": []},
    "kid a number": {**jwk(OTHER_RSA, "x"), "kid": 7},
    "no object": "key",
    "alg an object": {**jwk(OTHER_RSA, "x"), "alg": {}},
}


@pytest.mark.parametrize("case", PASSED_OVER)
async def test_a_key_that_cannot_be_used_is_passed_over_and_the_others_serve(case: str) -> None:
    async with issuing(FIRST) as issuer:
        issuer.server.answer = document(json.dumps({"keys": [PASSED_OVER[case], FIRST]}).encode())
        assert await issuer.tenant(kid="first") == "acme"
        assert await issuer.refusal(kid="x", key=OTHER_RSA) is Reason.CREDENTIAL_INVALID


def chunked(body: bytes) -> bytes:
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:10], body[10:]))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        chunked(key_set(FIRST)),
        b"HTTP/1.0 200 OK\r\n\r\n" + key_set(FIRST),
        document(b"\xef\xbb\xbf"[:0] + key_set(FIRST)),
    ],
    ids=["chunked", "until the end", "with a length"],
)
async def test_answers_come_in_every_form_of_http(answer: bytes) -> None:
    async with issuing() as issuer:
        issuer.server.answer = answer
        assert await issuer.tenant(kid="first") == "acme"


def _many(count: int) -> bytes:
    return document(json.dumps({"keys": [FIRST] * count}).encode())


GARBAGE: dict[str, bytes] = {
    "no HTTP": b"\x00\x01\x02 garbage\r\n\r\n",
    "no JSON": document(b"<html>sign in</html>"),
    "no UTF-8": document(b'{"keys": "\xff"}'),
    "a list": document(b"[]"),
    "no keys": document(b"{}"),
    "keys a mapping": document(b'{"keys": {}}'),
    "no key": document(b'{"keys": []}'),
    "nested deeply": document(b"[" * 50_000),
    "a redirect": document(b"", status="302 Found", headers="Location: http://127.0.0.1:1/\r\n"),
    "cut off": document(key_set(FIRST))[:-20],
    "nothing": b"",
    "too many keys": _many(101),
    "too large": document(b" " * 100_001 + key_set(FIRST)),
    "too large in chunks": chunked(b" " * 100_001 + key_set(FIRST)),
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000,
    "header of a megabyte": b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 20),
}


@pytest.mark.parametrize("case", GARBAGE)
async def test_what_is_no_key_set_changes_nothing_and_is_in_the_log(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with issuing(FIRST) as issuer:
        assert await issuer.tenant(kid="first") == "acme"
        issuer.server.answer = GARBAGE[case]
        await issuer.keys.refresh()
        assert issuer.server.requests == 2
        assert await issuer.tenant(kid="first") == "acme"
    (line,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert line.startswith(f"the keys at {issuer.server.url} cannot be fetched: ")
    assert "\n" not in line
    assert len(line) < 400


async def _never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def _half_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")
    await reader.read()


async def _half_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(document(key_set(FIRST))[:-20])
    await reader.read()


async def _byte_by_byte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Slowly enough to take for ever, quickly enough that no single wait is long."""
    while not reader.at_eof():
        writer.write(b"X")
        await writer.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.01)


@pytest.mark.parametrize("slow", [_never, _half_a_head, _half_a_body, _byte_by_byte])
async def test_a_slow_issuer_is_given_up_and_its_thread_goes_on_to_the_next_fetch(
    slow: Answering,
) -> None:
    async with issuing(FIRST, seconds=0.5) as issuer:
        issuer.server.answer = slow
        with pytest.raises(FetchFailed, match="no whole answer within"):
            await issuer.document.fetch()
        issuer.publish(FIRST)

        async def fetched() -> bool:
            with suppress(FetchFailed):
                return b"first" in await issuer.document.fetch()
            return False

        assert await until(fetched)


async def test_an_issuer_that_is_not_there_is_a_failure() -> None:
    async with issuing(FIRST) as issuer:
        issuer.document.url = "http://127.0.0.1:1/keys"
        assert await issuer.refusal(kid="first") is Reason.AUTHENTICATION_UNAVAILABLE


async def test_over_https_the_server_is_verified(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    for name, each in (("ca.pem", authority), ("stranger.pem", stranger)):
        each.cert_pem.write_to_path(str(tmp_path / name))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    keys = KeyServer()
    keys.answer = document(key_set(FIRST))
    async with listening(keys.serve, context) as port:
        url = f"https://localhost:{port}/keys"
        for name, is_good in (("ca.pem", True), ("stranger.pem", False), (None, False)):
            path = None if name is None else tmp_path / name
            its = Document(url, seconds=HANGS, bytes_max=100_000, authorities=path)
            try:
                if is_good:
                    assert await its.fetch() == key_set(FIRST)
                else:
                    with pytest.raises(FetchFailed, match="certificate verify failed"):
                        await its.fetch()
            finally:
                its.close()
