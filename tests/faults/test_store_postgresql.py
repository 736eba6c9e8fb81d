"""The record in PostgreSQL when the server is killed, connections are cut, and a second queryengine comes."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.lifecycle import Event, QueryState
from queryengine.domain.query import Query
from queryengine.store import Store, StoreLocked, StoreUnusable
from queryengine.store import postgresql as on_postgresql
from tests.cutting_proxy import CuttingProxy
from tests.servers.cache import cache_folder
from tests.servers.postgresql import PASSWORD, PostgreSQLServer
from tests.servers.server import folder_of_its_own, shared
from tests.store_values import CHANGES, SERVER, query, stored
from tests.support import until

pytestmark = pytest.mark.timeout(180)


def name_of(folder: Path) -> str:
    return "of_" + hashlib.sha256(str(folder).encode()).hexdigest()[:24]


@pytest.fixture
def server() -> PostgreSQLServer:
    """The one that other tests use, too."""
    server = shared(PostgreSQLServer)
    assert isinstance(server, PostgreSQLServer)
    return server


@pytest.fixture
def own_server() -> Iterator[PostgreSQLServer]:
    """One that may be killed."""
    shared(PostgreSQLServer)  # Skips where there is none.
    server = PostgreSQLServer()
    server.folder = folder_of_its_own(server.name, cache_folder() / "run")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
async def store(server: PostgreSQLServer, tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(server.record_url(name_of(tmp_path)), owner=SERVER)
    yield store
    await store.close()


async def is_refused(store: Store, number: int) -> str:
    """How a Submit is refused while the database is away."""
    with pytest.raises(QueryEngineError) as refusal:
        await store.submit(query(number))
    assert refusal.value.failure.reason is Reason.STORE_UNAVAILABLE
    assert refusal.value.failure.retryable
    return str(refusal.value)


async def answer_of(store: Store, number: int) -> bool:
    """Whether a Submit is acknowledged. Any other failure than STORE_UNAVAILABLE is a defect."""
    (answer,) = await asyncio.gather(store.submit(query(number)), return_exceptions=True)
    if isinstance(answer, QueryEngineError):
        assert answer.failure.reason is Reason.STORE_UNAVAILABLE
        return False
    assert answer == (query(number), False)
    return True


def numbers(queries: list[Query]) -> set[int]:
    return {int(each.query_id[-12:]) for each in queries}


async def test_a_killed_database_refuses_keeps_what_was_acknowledged_and_recovers(
    own_server: PostgreSQLServer, tmp_path: Path
) -> None:
    store = await Store.open(own_server.record_url(name_of(tmp_path)), owner=SERVER)
    acknowledged: set[int] = set()
    refused: set[int] = set()
    count = iter(range(1_000_000))
    stopping = False

    async def keep_submitting() -> None:
        while not stopping:
            number = next(count)
            (acknowledged if await answer_of(store, number) else refused).add(number)
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(keep_submitting()) for _ in range(8)]
    for kill in range(3):
        before = len(acknowledged)
        await until(lambda before=before, kill=kill: len(acknowledged) > before + 20 + 7 * kill)
        await asyncio.to_thread(own_server.crash)
        before = len(refused)
        await until(lambda before=before: len(refused) > before)
        assert not await store.healthy()
        with pytest.raises(QueryEngineError) as refusal:
            await store.get("tenant", query(1).query_id)
        assert refusal.value.failure.reason is Reason.STORE_UNAVAILABLE
        await asyncio.to_thread(own_server.launch)
        await until(store.healthy)
    stopping = True
    await asyncio.gather(*tasks)
    found = numbers(await store.recover())
    assert found == acknowledged
    await store.close()


@pytest.mark.parametrize("seed", range(3))
async def test_a_write_whose_answer_is_lost_is_neither_taken_for_done_nor_for_lost(
    server: PostgreSQLServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Connections are cut after any number of bytes: before, inside and after the answer to a COMMIT."""
    monkeypatch.setattr(on_postgresql, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr("queryengine.store.writer.ASK_AGAIN_SECONDS", 0.01)
    chance = random.Random(seed)
    is_cutting = False

    def budget(_proxy: CuttingProxy) -> int | None:
        # A connection takes some 600 bytes until it is ready.
        return chance.randrange(600, 9000) if is_cutting else None

    direct = server.record_url(name_of(tmp_path))
    async with CuttingProxy(f"127.0.0.1:{server.port}", budget).running() as proxy:
        is_cutting = False
        store = await Store.open(server.record_url(name_of(tmp_path), proxy.address), owner=SERVER)
        await store._writer._leave()
        is_cutting = True
        acknowledged: set[int] = set()
        asked = 0
        while proxy.cuts < 40 or len(acknowledged) < 30:
            batch = range(asked, asked + chance.randrange(1, 4))
            asked = batch.stop
            answers = await asyncio.gather(*(answer_of(store, number) for number in batch))
            acknowledged |= {number for number, is_done in zip(batch, answers, strict=True) if is_done}
        is_cutting = False
        await until(store.healthy)
        await store.close()
    after = await Store.open(direct, owner=SERVER)
    assert numbers(await after.recover()) == acknowledged
    assert len(acknowledged) < asked
    await after.close()


async def test_a_change_whose_answer_was_lost_is_answered_when_the_database_is_back(
    server: PostgreSQLServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to one COMMIT is lost, and the database is away for a while: the claim fires once, and its caller
    hears of it.
    """
    waiting = await stored(store, QueryState.QUEUED)
    away = asyncio.Event()
    connect = store._database._connect  # type: ignore[attr-defined]

    async def unreachable() -> object:
        if not away.is_set():
            raise ConnectionRefusedError("away")
        return await connect()

    commit = on_postgresql.sa.engine.default.DefaultDialect.do_commit
    lost: list[bool] = []

    def commit_and_lose(dialect: object, connection: object) -> None:
        commit(dialect, connection)  # type: ignore[arg-type]
        if not lost:
            lost.append(True)
            monkeypatch.setattr(store._database, "_connect", unreachable)
            raise ConnectionResetError("the answer is lost")

    monkeypatch.setattr(on_postgresql.sa.engine.default.DefaultDialect, "do_commit", commit_and_lose)
    claim = asyncio.ensure_future(store.advance(waiting, Event.CLAIM, changes=CHANGES[Event.CLAIM]))
    await until(lambda: bool(lost))
    # Others are refused meanwhile, and do not wait for what nobody knows.
    await is_refused(store, 2)
    assert not claim.done()
    away.set()
    fired, running = await claim
    assert (fired, running.state, running.attempt) == (True, QueryState.RUNNING, 1)
    assert await store.get("tenant", waiting.query_id) == running
    assert await store.submit(query(2)) == (query(2), False)


async def test_a_lost_answer_that_nobody_can_know_any_more_is_no_answer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another server came between the COMMIT and the question what became of it."""
    monkeypatch.setattr("queryengine.store.writer.ASK_AGAIN_SECONDS", 0.01)
    database = store._database

    def lose(_mark: object) -> None:
        database.move_in("was-another")
        raise ConnectionResetError("the answer is lost")

    monkeypatch.setattr(on_postgresql.sa.engine.default.DefaultDialect, "do_commit", lambda _, mark: lose(mark))
    assert "another server has used" in await is_refused(store, 1)


async def test_a_second_server_is_refused_with_the_one_that_has_the_database(
    server: PostgreSQLServer, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(StoreLocked) as refusal:
        await Store.open(server.record_url(name_of(tmp_path)), owner="server-2")
    message = str(refusal.value)
    assert (
        f"postgresql://owner@127.0.0.1:{server.port}/records is in use by queryengine {SERVER} at 127.0.0.1" in message
    )
    assert "secret" not in message
    assert await store.submit(query(1)) == (query(1), False)


async def test_a_lost_lock_is_taken_again(server: PostgreSQLServer, store: Store) -> None:
    database = store._database
    lock = database._lock  # type: ignore[attr-defined]
    with server.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [lock.get_server_pid()])
    await until(lambda: database._lock is not lock)  # type: ignore[attr-defined]
    await until(lambda: answer_of(store, 1))
    with pytest.raises(StoreLocked):
        await Store.open(database._url, owner="server-2")  # type: ignore[attr-defined]


async def test_a_server_whose_database_another_one_took_writes_nothing_more(
    server: PostgreSQLServer, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock is gone, and it has not noticed yet."""
    database = store._database
    monkeypatch.setattr(database, "check", lambda: None)
    monkeypatch.setattr(database, "_take_lock", asyncio.Event().wait)
    waiting = await stored(store, QueryState.QUEUED)
    with server.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [database._lock.get_server_pid()])  # type: ignore[attr-defined]
    second = await Store.open(server.record_url(name_of(tmp_path)), owner="server-2")
    assert "another server has used" in await is_refused(store, 2)
    with pytest.raises(QueryEngineError, match="another server has used"):
        await store.advance(waiting, Event.CLAIM, changes=CHANGES[Event.CLAIM])
    assert not await store.healthy()
    assert await second.list("tenant", limit=5) == [waiting]
    await second.submit(query(3))
    await second.close()
    # Also once that one has left: what this one has in memory is out of date.
    assert "restart this one" in await is_refused(store, 4)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("postgresql://owner:wrong@{address}/records", "password authentication failed"),
        ("postgresql://owner:wrong@127.0.0.1:1/records", "Connect call failed"),
        ("postgresql://owner:{password}@{address}/records?nonsense=1", "nonsense"),
    ],
)
async def test_a_database_that_cannot_be_used_is_refused_by_name_without_its_password(
    server: PostgreSQLServer, place: str, reason: str
) -> None:
    address, password = f"127.0.0.1:{server.port}", quote(PASSWORD, safe="")
    with pytest.raises(StoreUnusable) as refusal:
        await Store.open(place.format(address=address, password=password), owner=SERVER)
    assert reason in str(refusal.value)
    assert str(refusal.value).startswith("postgresql://owner@127.0.0.1:")
    assert "wrong" not in str(refusal.value)
    assert "secret" not in str(refusal.value)


async def test_an_empty_database_beside_results_is_refused(server: PostgreSQLServer, tmp_path: Path) -> None:
    class Held:
        root = str(tmp_path / "spool")

        def holds_any(self) -> bool:
            return True

        def shrink_unfinished(self) -> None:
            raise AssertionError("not asked for")

    url = server.record_url(name_of(tmp_path))
    for _ in range(2):
        with pytest.raises(StoreUnusable, match="is missing or empty, but") as refusal:
            await Store.open(url, owner=SERVER, results=Held())
        assert str(tmp_path / "spool") in str(refusal.value)
    store = await Store.open(url, owner=SERVER)
    await store.close()
    store = await Store.open(url, owner=SERVER, results=Held())
    await store.close()
