"""The writing task: what gathers is committed together, and a failure touches whom it must."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.store import writer as writing
from queryengine.store.sqlite import SQLite
from queryengine.store.writer import Writer


class Database:
    """A writer over a file with one table, whose commits are counted."""

    def __init__(self, files: SQLite) -> None:
        self.files = files
        self.commits = 0
        sa.event.listen(files.writing.sync_engine, "commit", self._count)
        self.writer = Writer(files)

    @classmethod
    async def open(cls, path: Path) -> "Database":
        files = await SQLite.open(path, read_connections=1)
        async with files.writing.begin() as connection:
            await connection.exec_driver_sql("CREATE TABLE numbers (number INTEGER PRIMARY KEY CHECK (number < 99))")
        return cls(files)

    def insert(self, number: int, *, size: int = 0, may_linger: bool = False) -> asyncio.Future[int]:
        return self.writer.write(
            lambda connection: connection.exec_driver_sql("INSERT INTO numbers VALUES (?)", (number,)).rowcount,
            size=size,
            may_linger=may_linger,
        )

    def hold(self) -> tuple[threading.Event, threading.Event, asyncio.Future[None]]:
        """Keep the writer inside a batch: it has come there, and it may go on."""
        reached, gate = threading.Event(), threading.Event()

        def wait(_connection: sa.Connection) -> None:
            reached.set()
            assert gate.wait(10)

        return reached, gate, self.writer.write(wait)

    def numbers(self) -> list[int]:
        """What another reader of the file finds."""
        with contextlib.closing(sqlite3.connect(self.files.title)) as connection:
            return [number for (number,) in connection.execute("SELECT number FROM numbers ORDER BY 1")]

    def _count(self, _connection: sa.Connection) -> None:
        self.commits += 1


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "numbers.db")
    yield database
    await database.writer.stop()
    await database.files.close()


async def test_what_gathers_during_a_commit_is_committed_together(database: Database) -> None:
    reached, gate, held = database.hold()
    assert await asyncio.to_thread(reached.wait, 10)
    writes = [database.insert(number) for number in range(90)]
    gate.set()
    await asyncio.gather(held, *writes)
    assert database.commits == 2
    assert database.numbers() == list(range(90))


async def test_a_batch_has_a_limit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BATCH_WRITES_MAX", 4)
    reached, gate, held = database.hold()
    assert await asyncio.to_thread(reached.wait, 10)
    writes = [database.insert(number) for number in range(5)]
    gate.set()
    await asyncio.gather(held, *writes)
    assert database.commits == 3


@pytest.mark.parametrize(("sizes", "commits"), [((40, 40, 40, 40), 2), ((500, 1, 1), 2), ((1, 500, 1), 3), ((100,), 1)])
async def test_a_batch_has_a_limit_in_bytes(
    database: Database, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...], commits: int
) -> None:
    monkeypatch.setattr(writing, "BATCH_BYTES_MAX", 100)
    reached, gate, held = database.hold()
    assert await asyncio.to_thread(reached.wait, 10)
    writes = [database.insert(number, size=size) for number, size in enumerate(sizes)]
    gate.set()
    await asyncio.gather(held, *writes)
    assert database.commits == 1 + commits
    assert database.numbers() == list(range(len(sizes)))


async def test_what_may_linger_goes_with_the_next_write_and_before_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "LINGER_SECONDS", 60)
    order: list[int] = []
    writes = [database.insert(number, may_linger=number < 3) for number in range(4)]
    for number, write in enumerate(writes):
        write.add_done_callback(lambda _, number=number: order.append(number))
    await asyncio.gather(*writes)
    assert database.commits == 1
    assert order == [0, 1, 2, 3]


async def test_what_may_linger_is_written_when_nothing_follows(database: Database) -> None:
    assert await database.insert(1, may_linger=True) == 1
    assert database.numbers() == [1]


async def test_whoever_catches_up_finds_what_lingered(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LINGER_SECONDS", 60)
    database.insert(1, may_linger=True)
    await database.writer.caught_up()
    assert database.numbers() == [1]
    database.insert(2, may_linger=True)
    await database.writer.stop()
    assert database.numbers() == [1, 2]


async def test_catching_up_waits_for_what_lingered_alone_and_not_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, gate, held = database.hold()
    assert await asyncio.to_thread(reached.wait, 10)
    others = database.insert(1)
    await asyncio.wait_for(database.writer.caught_up(), 10)
    lingering = database.insert(2, may_linger=True)
    left = database.insert(3)
    left.cancel()
    monkeypatch.setattr(writing, "CAUGHT_UP_SECONDS", 0.01)
    with pytest.raises(QueryEngineError) as refusal:
        await database.writer.caught_up()
    assert refusal.value.failure.reason is Reason.STORE_UNAVAILABLE
    monkeypatch.undo()
    caught_up = asyncio.ensure_future(database.writer.caught_up())
    gate.set()
    await caught_up
    assert {1, 2} <= set(database.numbers())
    await asyncio.gather(held, others, lingering)


async def test_a_write_is_acknowledged_after_its_commit_only(database: Database) -> None:
    seen: list[list[int]] = []
    writes = [database.insert(number) for number in range(20)]
    for write in writes:
        write.add_done_callback(lambda _: seen.append(database.numbers()))
    await asyncio.gather(*writes)
    assert all(number in seen[number] for number in range(20))


@pytest.mark.parametrize(
    ("work", "kind"),
    [
        (lambda connection: connection.exec_driver_sql("INSERT INTO numbers VALUES (100)"), IntegrityError),
        (lambda connection: connection.exec_driver_sql("INSERT INTO numbers VALUES (?)", ({},)), StatementError),
        (lambda _: 1 // 0, ZeroDivisionError),
    ],
)
async def test_a_write_that_breaks_a_rule_fails_alone(
    database: Database, work: Callable[[sa.Connection], object], kind: type[Exception]
) -> None:
    reached, gate, held = database.hold()
    assert await asyncio.to_thread(reached.wait, 10)
    before, wrong, after = database.insert(1), database.writer.write(work), database.insert(2)
    gate.set()
    await asyncio.gather(held, before, after)
    with pytest.raises(kind):
        await wrong
    assert database.commits == 2
    assert database.numbers() == [1, 2]


@pytest.mark.parametrize("trouble", [OperationalError("", None, OSError("disk I/O error")), MemoryError()])
async def test_when_the_database_fails_nothing_of_the_batch_happened(database: Database, trouble: Exception) -> None:
    def fail(_connection: sa.Connection) -> None:
        raise trouble

    reached, gate, held = database.hold()
    assert await asyncio.to_thread(reached.wait, 10)
    writes = [database.insert(1), database.writer.write(fail), database.insert(2)]
    gate.set()
    await held
    for answer in await asyncio.gather(*writes, return_exceptions=True):
        assert isinstance(answer, QueryEngineError)
        assert answer.failure.reason is Reason.STORE_UNAVAILABLE
        assert answer.failure.retry_after_seconds
        assert answer.__cause__ is trouble
    assert database.numbers() == []
    assert await database.insert(3) == 1
    assert database.numbers() == [3]


async def test_a_commit_that_fails_fails_its_batch_and_the_writer_lives_on(database: Database) -> None:
    def fail(_connection: sa.Connection) -> None:
        raise RuntimeError("a listener is broken")

    sa.event.listen(database.files.writing.sync_engine, "commit", fail)
    with pytest.raises(QueryEngineError, match="a listener is broken") as refusal:
        await database.insert(1)
    assert refusal.value.failure.reason is Reason.STORE_UNAVAILABLE
    sa.event.remove(database.files.writing.sync_engine, "commit", fail)
    assert await database.insert(2) == 1
    assert database.numbers() == [2]


async def test_the_loop_is_woken_once_for_a_batch(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, gate, held = database.hold()
    assert await asyncio.to_thread(reached.wait, 10)
    loop = asyncio.get_running_loop()
    wake = loop.call_soon_threadsafe
    wakes: list[str] = []

    def count(callback: Callable[..., object], *arguments: object, **more: object) -> asyncio.Handle:
        if threading.current_thread().name == "queryengine-store":
            wakes.append(getattr(callback, "__name__", ""))
        return wake(callback, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", count)
    writes = [database.insert(number) for number in range(50)]
    gate.set()
    await asyncio.gather(held, *writes)
    assert len(wakes) == 2


async def test_a_cancelled_caller_is_forgotten(database: Database) -> None:
    reached, gate, held = database.hold()
    assert await asyncio.to_thread(reached.wait, 10)
    writes = [database.insert(number) for number in range(3)]
    writes[1].cancel()
    gate.set()
    assert await asyncio.gather(held, writes[0], writes[2]) == [None, 1, 1]
    assert database.numbers() == [0, 1, 2]


async def test_nothing_is_accepted_after_stop(database: Database) -> None:
    write = database.insert(1)
    stops = [asyncio.ensure_future(database.writer.stop()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(QueryEngineError, match="closed"):
        database.insert(2)
    assert await write == 1
    await asyncio.gather(*stops)
    assert database.numbers() == [1]
