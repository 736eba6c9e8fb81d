"""Which API keys are accepted, and for how long after the record was last read."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from queryengine.domain.api_keys import ApiKey
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.identity import Principal, Role
from queryengine.domain.key_text import key_id_of, new_key, secret_hash
from queryengine.live.tasks import Tasks
from queryengine.policy.identity import Presented, key_index
from queryengine.policy.identity.api_keys import ApiKeys
from queryengine.policy.identity.key_index import KeyIndex
from queryengine.policy.identity.peers import address_of
from queryengine.store import Store
from queryengine.store.keys import KeyStore

SECOND_US = 1_000_000


class Scripted:
    """A clock that stands."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now_us(self) -> int:
        return int(self.seconds * SECOND_US)

    def monotonic(self) -> float:
        return self.seconds


class Faulty:
    """The record of keys, which can be made unreadable."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self.fails = False
        self.reads = 0

    async def changed(self, after: int, limit: int) -> Sequence[tuple[Any, ...]]:
        self.reads += 1
        if self.fails:
            raise error(Reason.STORE_UNAVAILABLE, "away")
        return await self._store.changed(after, limit)

    async def note_uses(self, used_us: dict[str, int]) -> None:
        if self.fails:
            raise error(Reason.STORE_UNAVAILABLE, "away")
        await self._store.note_uses(used_us)


class Bench:
    """An index that looks when a test says so, and what is behind it."""

    def __init__(self, store: KeyStore) -> None:
        self.store = store
        self.clock = Scripted()
        self.faulty = Faulty(store)
        self.index = KeyIndex(self.faulty, self.clock, Tasks())  # type: ignore[arg-type]
        self.api_keys = ApiKeys(self.index)

    async def add(self, **given: Any) -> tuple[ApiKey, str]:
        new = new_key()
        fields = {"tenant": "t", "subject": "s", "roles": frozenset({Role.READ}), "created_us": self.clock.now_us()}
        key = ApiKey(key_id=new.key_id, **{**fields, **given})
        await self.store.add(key, new.secret_hash, now_us=self.clock.now_us())
        return key, new.text

    async def revoke(self, key: ApiKey) -> None:
        """As another server does."""
        now_us = self.clock.now_us()
        assert await self.store.end(key.but(revoke_us=now_us), now_us=now_us)

    async def asked(self, text: str, peer: str = "ipv4:127.0.0.1:1", scheme: str = "ApiKey") -> Principal | None:
        return await self.api_keys.authenticate(Presented((("authorization", f"{scheme} {text}"),), peer))

    async def reason(self, text: str, peer: str = "ipv4:127.0.0.1:1") -> str:
        with pytest.raises(QueryEngineError) as refusal:
            await self.asked(text, peer)
        return str(refusal.value.failure.reason)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    store = await Store.open(tmp_path / "queries.db", owner="server")
    yield Bench(store.keys)
    await store.close()


def test_a_key_has_256_random_bits_an_id_and_a_check() -> None:
    made = [new_key() for _ in range(200)]
    assert len({key.text for key in made}) == len({key.key_id for key in made}) == 200
    for key in made:
        assert len(key.text) == 65
        assert key_id_of(key.text) == key.key_id
        assert key.secret_hash == secret_hash(key.text)
        assert key.text.replace("_", "").isalnum()


def test_a_mistyped_key_is_none_by_its_check() -> None:
    text = new_key().text
    for place in range(3, len(text)):
        wrong = text[:place] + ("1" if text[place] != "1" else "2") + text[place + 1 :]
        assert key_id_of(wrong) is None, place
    for wrong in ("", "qe_", text[:-1], text + "0", text.replace("qe_", "qx_"), f" {text}", text + "\n"):
        assert key_id_of(wrong) is None


async def test_a_key_is_accepted_by_the_hash_of_its_text(bench: Bench) -> None:
    key, text = await bench.add(roles=frozenset({Role.READ, Role.SUBMIT}), expire_us=bench.clock.now_us() + SECOND_US)
    await bench.index.look()
    principal = await bench.asked(text)
    assert principal == Principal(
        tenant="t",
        subject="s",
        roles=key.roles,
        authenticator="api_key",
        credential_id=key.key_id,
        expires_us=key.expire_us,
    )
    assert await bench.asked(text, scheme="bearer") == principal


@pytest.mark.parametrize("authorization", ["Bearer eyJhbGciOi", "Basic cWVfOng=", "qe_x", "Bearer"])
async def test_other_credentials_are_left_to_others(bench: Bench, authorization: str) -> None:
    await bench.index.look()
    assert await bench.api_keys.authenticate(Presented((("authorization", authorization),))) is None
    assert await bench.api_keys.authenticate(Presented(())) is None


async def test_a_key_that_another_server_revoked_stops_at_the_next_look(bench: Bench) -> None:
    key, text = await bench.add()
    await bench.index.look()
    principal = await bench.asked(text)
    assert principal is not None
    await bench.revoke(key)
    await bench.index.look_in_time()
    assert await bench.reason(text) == "CREDENTIAL_INVALID"
    with pytest.raises(QueryEngineError, match="CREDENTIAL_INVALID"):
        bench.api_keys.still_valid(principal)
    assert len(bench.index) == 0


async def test_a_key_is_revoked_whatever_the_clock_of_the_other_server_says(bench: Bench) -> None:
    key, text = await bench.add()
    await bench.index.look()
    bench.clock.seconds += 3_600
    await bench.revoke(key)
    bench.clock.seconds -= 3_600
    await bench.index.look()
    assert await bench.reason(text) == "CREDENTIAL_INVALID"


async def test_no_key_is_accepted_5_seconds_after_the_record_was_last_read(bench: Bench) -> None:
    _, text = await bench.add()
    await bench.index.look()
    principal = await bench.asked(text)
    assert principal is not None
    bench.faulty.fails = True
    began = bench.clock.seconds
    accepted_for = 0.0
    while bench.index.is_followed:
        assert await bench.asked(text)
        bench.api_keys.still_valid(principal)
        accepted_for = bench.clock.seconds - began
        bench.clock.seconds += key_index.LOOK_SECONDS
        await bench.index.look_in_time()
    assert 3 <= accepted_for <= 5
    assert await bench.reason(text) == "AUTHENTICATION_UNAVAILABLE"
    with pytest.raises(QueryEngineError, match="AUTHENTICATION_UNAVAILABLE"):
        bench.api_keys.still_valid(principal)
    bench.faulty.fails = False
    await bench.index.look_in_time()
    assert await bench.asked(text) == principal


async def test_a_record_that_does_not_answer_is_one_that_cannot_be_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = await bench.add()
    await bench.index.look()

    async def never(after: int, limit: int) -> Any:
        # In time the clock of the test goes on, and that of the event loop gives up.
        bench.clock.seconds += 5
        await asyncio.Event().wait()

    monkeypatch.setattr(bench.faulty, "changed", never)
    monkeypatch.setattr(key_index, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(key_index, "FOLLOWED_SECONDS", 0.01)
    await bench.index.look_in_time()
    assert await bench.reason(text) == "AUTHENTICATION_UNAVAILABLE"


async def test_a_pause_of_the_process_alone_refuses_nobody(bench: Bench) -> None:
    _, text = await bench.add()
    await bench.index.look()
    bench.clock.seconds += 60
    assert await bench.asked(text)
    await bench.index.look_in_time()
    assert await bench.asked(text)


async def test_nothing_is_accepted_before_the_record_was_read(bench: Bench) -> None:
    _, text = await bench.add()
    assert await bench.reason(text) == "AUTHENTICATION_UNAVAILABLE"


async def test_a_change_is_read_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_index, "CHUNK", 3)
    texts = [(await bench.add())[1] for _ in range(8)]
    await bench.index.look()
    assert (len(bench.index), bench.faulty.reads) == (8, 3)
    await bench.index.look()
    assert bench.faulty.reads == 4
    assert all([await bench.asked(text) for text in texts])


async def test_an_expired_key_is_refused_at_once_and_forgotten_by_the_next_look(bench: Bench) -> None:
    now_us = bench.clock.now_us()
    _, used = await bench.add(expire_us=now_us + 10 * SECOND_US)
    await bench.add(expire_us=now_us + 10 * SECOND_US)
    longer, text = await bench.add(expire_us=now_us + 30 * SECOND_US)
    await bench.index.look()
    assert await bench.asked(used)
    # A rotation with grace has it end earlier than was known.
    assert await bench.store.end(longer.but(expire_us=now_us + 20 * SECOND_US), now_us=now_us)
    await bench.index.look()
    bench.clock.seconds += 10
    assert await bench.reason(used) == "CREDENTIAL_INVALID"
    assert len(bench.index) == 3
    await bench.index.look()
    assert len(bench.index) == 1
    assert await bench.asked(text)
    bench.clock.seconds += 10
    await bench.index.look()
    assert len(bench.index) == 0


@pytest.mark.parametrize(
    ("peer", "accepted"),
    [
        ("ipv4:10.1.2.3:5000", True),
        ("ipv4:11.1.2.3:5000", False),
        ("ipv6:%5B2001:db8::7%5D:5000", True),
        ("ipv6:[2001:db8::7]:5000", True),
        ("ipv6:%5B2001:db9::7%5D:5000", False),
        ("ipv6:%5B::ffff:10.1.2.3%5D:5000", True),
        ("ipv6:%5B::ffff:11.1.2.3%5D:5000", False),
        ("ipv6:%5Bfe80::1%25eth0%5D:5000", False),
        ("unix:", False),
        ("unix:/run/10.1.2.3:5000", False),
        ("", False),
        ("ipv4:", False),
        ("ipv4:10.1.2.3", False),
    ],
)
async def test_a_key_works_from_its_networks_alone(bench: Bench, peer: str, accepted: bool) -> None:
    _, text = await bench.add(cidrs=("10.0.0.0/8", "2001:db8::/32"))
    await bench.index.look()
    if accepted:
        assert await bench.asked(text, peer)
    else:
        assert await bench.reason(text, peer) == "CREDENTIAL_INVALID"


def test_a_scoped_address_is_one() -> None:
    assert str(address_of("ipv6:%5Bfe80::1%25eth0%5D:5000")) == "fe80::1%eth0"


async def test_uses_are_written_a_bounded_number_at_a_time_and_not_often(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_index, "NOTED", 2)
    made = [await bench.add() for _ in range(3)]

    async def last_use(key: ApiKey) -> int | None:
        stored = await bench.store.get("t", key.key_id)
        assert stored is not None
        return stored.last_use_us

    await bench.index.look()
    for _ in range(5):
        for _, text in made:
            await bench.asked(text)
    await bench.index.write_uses()
    assert [await last_use(key) is not None for key, _ in made] == [True, True, False]
    await bench.index.close()
    first_us = bench.clock.now_us()
    assert [await last_use(key) for key, _ in made] == [first_us] * 3
    for seconds, expected in ((59, first_us), (1, first_us + 60 * SECOND_US)):
        bench.clock.seconds += seconds
        await bench.asked(made[0][1])
        await bench.index.close()
        assert await last_use(made[0][0]) == expected


async def test_uses_that_cannot_be_written_refuse_nobody(bench: Bench) -> None:
    _, text = await bench.add()
    await bench.index.look()
    bench.faulty.fails = True
    assert await bench.asked(text)
    await bench.index.close()


async def test_keys_of_the_configuration_work_without_a_record_until_they_are_taken_out(bench: Bench) -> None:
    admin, other = new_key(), new_key()
    bench.api_keys.adopt([admin.text])
    principal = await bench.asked(admin.text)
    assert principal is not None
    assert principal.roles == frozenset(Role) - {Role.NAMED_ONLY}
    assert (principal.tenant, principal.subject, principal.credential_id) == ("default", "operator", admin.key_id)
    bench.api_keys.still_valid(principal)
    await bench.index.look()
    assert await bench.reason(other.text) == "CREDENTIAL_INVALID"
    bench.api_keys.adopt([other.text])
    assert await bench.reason(admin.text) == "CREDENTIAL_INVALID"
    with pytest.raises(QueryEngineError, match="CREDENTIAL_INVALID"):
        bench.api_keys.still_valid(principal)
