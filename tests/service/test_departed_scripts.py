"""A query of `client.query` ends with the script that ran it, however that ends; one that is detached does not."""

import asyncio
import signal
import sys
import textwrap
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from queryengine.app.service import Service
from tests.support import CANCELLED, COMPLETED, HANG_SECONDS, QUEUED, ROOT, RUNNING, Api, Gate, new_id, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

AT_ONCE = "the client that ran it stopped reading"
AFTER_GRACE = "nobody has read or watched it for its disconnect_grace of {:g} seconds"

SYNC = """
import os, signal, sys, threading, time, traceback
from queryengine.client import Client

target, tenant, query_id, script = sys.argv[1:]
client = Client(target, tenant=tenant)

def query(**options):
    return client.query(script, engine="scripted", query_id=query_id, **options)

def say(what):
    print(what, flush=True)

def say_once_inside(what):
    # As soon as the main thread waits for the server in a call of the client.
    main = threading.get_ident()
    def look():
        before = None
        while True:
            now = [(frame.filename, frame.lineno) for frame in traceback.extract_stack(sys._current_frames()[main])]
            if now == before and any("queryengine/client" in filename for filename, _ in now):
                return say(what)
            before = now
            time.sleep(0.05)
    threading.Thread(target=look, daemon=True).start()

"""
ASYNC = """
import asyncio, os, signal, sys
from queryengine.client import AsyncClient

target, tenant, query_id, script = sys.argv[1:]

def say(what):
    print(what, flush=True)

async def main():
    async with AsyncClient(target, tenant=tenant) as client:
        async def query(**options):
            return await client.query(script, engine="scripted", query_id=query_id, **options)
"""


def sync(body: str) -> str:
    return SYNC + textwrap.dedent(body)


def asynchronous(body: str) -> str:
    return ASYNC + textwrap.indent(textwrap.dedent(body), " " * 8) + "\nasyncio.run(main())\n"


WHEN_THE_PROCESS_ENDS = {
    "between submit and reading": sync("result = query(disconnect_grace=1); os._exit(3)"),
    "while reading": sync("for batch in query(disconnect_grace=1): os._exit(3)"),
    "by an exception beside the result": sync("result = query(disconnect_grace=1); result.schema; raise KeyError"),
    "by a signal": sync("for batch in query(disconnect_grace=1): os.kill(os.getpid(), signal.SIGKILL)"),
    "asyncio, between submit and reading": asynchronous("result = await query(disconnect_grace=1); os._exit(3)"),
    "asyncio, while reading": asynchronous("async for batch in await query(disconnect_grace=1): os._exit(3)"),
}
"""A script whose end leaves no time for a cancel."""

LEFT_BEHIND = {
    "a result that nothing refers to": sync("query(disconnect_grace=1); say('left'); sys.stdin.read()"),
    "a client that is closed": sync(
        "result = query(disconnect_grace=1); client.close(); say('left'); sys.stdin.read()"
    ),
    "asyncio, a result that nothing refers to": asynchronous(
        "await query(disconnect_grace=1); say('left'); await asyncio.to_thread(sys.stdin.read)"
    ),
}
WHILE_THE_PROCESS_LIVES = {
    "an exception in the loop": """
        try:
            for batch in query():
                raise KeyError
        except KeyError as error:
            kept = error  # as a notebook keeps the last traceback
        """,
    "a loop that is left": """
        result = query()
        for batch in result:
            break
        """,
    "a generator that is closed": """
        reading = iter(query())
        next(reading)
        reading.close()
        """,
    "a block that is left": """
        with query() as result:
            result.schema
        """,
    "a result that is closed": """
        result = query()
        result.close()
        """,
    "an error in the callback": """
        def fail(status):
            raise KeyError
        try:
            client.query(script, engine="scripted", query_id=query_id, on_status=fail).to_arrow()
        except KeyError:
            pass
        """,
}
WHILE_THE_LOOP_LIVES = {
    "an exception in the loop": """
        reading = aiter(await query())
        try:
            async for batch in reading:
                raise KeyError
        except KeyError:
            await reading.aclose()
        """,
    "a loop that is left": """
        async for batch in await query():
            break
        """,
    "a block that is left": """
        async with await query() as result:
            await result.schema()
        """,
    "a result that is closed": """
        result = await query()
        result.close()
        """,
    "a task that is cancelled while it reads": """
        result = await query()
        await result.schema()
        task = asyncio.create_task(result.to_arrow())
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        """,
    "a task that is cancelled while it submits": """
        task = asyncio.create_task(query(wait_timeout=30))
        while not (await client.list_queries(states=["RUNNING"])).queries:
            pass
        task.cancel()
        await asyncio.wait([task])
        """,
    "a time that is over": """
        result = await query()
        try:
            async with asyncio.timeout(0.5):
                await result.to_arrow()
        except TimeoutError:
            pass
        """,
}


@asynccontextmanager
async def running(text: str, service: Service, api: Api, query_id: str, script: str) -> AsyncIterator[Process]:
    """The process of a script; killed at the end if it has not ended."""
    command = (sys.executable, "-c", text, service.address, api.tenant, query_id, script)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def why_cancelled(api: Api, query_id: str) -> str:
    await until(lambda: is_in(api, query_id, QUEUED, RUNNING, CANCELLED))
    status = await api.ended(query_id)
    assert status.state == CANCELLED
    return str(status.error.message)


@pytest.mark.parametrize("text", WHEN_THE_PROCESS_ENDS.values(), ids=WHEN_THE_PROCESS_ENDS.keys())
async def test_it_ends_soon_after_the_process(service: Service, api: Api, gate: Gate, text: str) -> None:
    query_id = new_id()
    async with running(text, service, api, query_id, f"rows 10; {gate.script}") as process:
        assert AFTER_GRACE.format(1) in await why_cancelled(api, query_id)
        assert await asyncio.wait_for(process.wait(), HANG_SECONDS) != 0


async def test_the_grace_is_ten_seconds(service: Service, api: Api, gate: Gate) -> None:
    query_id = new_id()
    async with running(sync("result = query(); os._exit(3)"), service, api, query_id, gate.script):
        assert AFTER_GRACE.format(10) in await why_cancelled(api, query_id)


@pytest.mark.parametrize("body", WHILE_THE_PROCESS_LIVES.values(), ids=WHILE_THE_PROCESS_LIVES.keys())
async def test_it_ends_at_once_with_its_reader(service: Service, api: Api, gate: Gate, body: str) -> None:
    query_id = new_id()
    text = sync(textwrap.dedent(body) + "\nsay('left')\nsys.stdin.read()")
    async with running(text, service, api, query_id, f"rows 10; {gate.script}") as process:
        assert await process.stdout.readline() == b"left\n"
        assert AT_ONCE in await why_cancelled(api, query_id)


@pytest.mark.parametrize("body", WHILE_THE_LOOP_LIVES.values(), ids=WHILE_THE_LOOP_LIVES.keys())
async def test_it_ends_at_once_with_its_task(service: Service, api: Api, gate: Gate, body: str) -> None:
    query_id = new_id()
    text = asynchronous(textwrap.dedent(body) + "\nsay('left')\nawait asyncio.to_thread(sys.stdin.read)")
    async with running(text, service, api, query_id, f"rows 10; {gate.script}") as process:
        assert await process.stdout.readline() == b"left\n"
        assert AT_ONCE in await why_cancelled(api, query_id)


INTERRUPTED = {
    "while it submits": ("{gate}", sync("say_once_inside('now'); query(wait_timeout=30)")),
    "while it waits for columns": ("{gate}; start", sync("result = query(); say_once_inside('now'); result.schema")),
    "while it reads": (
        "rows 10; {gate}",
        sync("result = query(); result.schema; say_once_inside('now'); result.to_arrow()"),
    ),
    "asyncio, while it submits": ("{gate}", asynchronous("say('now'); await query(wait_timeout=30)")),
    "asyncio, while it reads": (
        "rows 10; {gate}",
        asynchronous("result = await query(); await result.schema(); say('now'); await result.to_arrow()"),
    ),
}
"""Scripts of the engine and of the client."""


@pytest.mark.parametrize(("script", "text"), INTERRUPTED.values(), ids=INTERRUPTED.keys())
async def test_it_ends_at_once_by_ctrl_c(service: Service, api: Api, gate: Gate, script: str, text: str) -> None:
    query_id = new_id()
    async with running(text, service, api, query_id, script.format(gate=gate.script)) as process:
        assert await process.stdout.readline() == b"now\n"
        await until(lambda: is_in(api, query_id, RUNNING))
        process.send_signal(signal.SIGINT)
        assert AT_ONCE in await why_cancelled(api, query_id)
        assert await asyncio.wait_for(process.wait(), HANG_SECONDS) != 0


@pytest.mark.parametrize("text", LEFT_BEHIND.values(), ids=LEFT_BEHIND.keys())
async def test_it_ends_after_its_grace_when_it_is_left_behind(
    service: Service, api: Api, gate: Gate, text: str
) -> None:
    query_id = new_id()
    async with running(text, service, api, query_id, gate.script) as process:
        assert await process.stdout.readline() == b"left\n"
        assert AFTER_GRACE.format(1) in await why_cancelled(api, query_id)


READ_LATER = {
    "sync": sync("""
        result = query()
        say("held")
        sys.stdin.readline()
        say(result.to_arrow().num_rows)
        """),
    "asyncio": asynchronous("""
        result = await query()
        say("held")
        await asyncio.to_thread(sys.stdin.readline)
        say((await result.to_arrow()).num_rows)
        """),
}


@pytest.mark.parametrize("text", READ_LATER.values(), ids=READ_LATER.keys())
async def test_a_result_that_is_read_later_keeps_its_query(service: Service, api: Api, gate: Gate, text: str) -> None:
    query_id = new_id()
    async with running(text, service, api, query_id, f"rows 10; {gate.script}; rows 5") as process:
        assert await process.stdout.readline() == b"held\n"
        await until(lambda: readers(service, api, query_id) == 1)
        gate.open()
        assert (await api.ended(query_id)).state == COMPLETED
        process.stdin.write(b"read\n")
        assert await process.stdout.readline() == b"15\n"


async def test_a_reader_who_comes_within_the_grace_keeps_it(service: Service, api: Api, gate: Gate) -> None:
    query_id = new_id()
    text = sync(f"for batch in query(disconnect_grace={HANG_SECONDS}): os._exit(3)")
    async with running(text, service, api, query_id, f"rows 10; {gate.script}; rows 5") as process:
        await process.wait()
        await until(lambda: readers(service, api, query_id) == 0)
        text = sync("say(client.attach(query_id).result().to_arrow().num_rows)")
        async with running(text, service, api, query_id, "") as again:
            await until(lambda: readers(service, api, query_id) == 1)
            gate.open()
            assert await again.stdout.readline() == b"15\n"
    assert (await api.status(query_id)).state == COMPLETED


DETACHED = {
    "a loop that is left": sync("for batch in query(detach=True): break"),
    "a process that ends": sync("for batch in query(detach=True): os._exit(0)"),
    "a submit": sync("client.submit(script, engine='scripted', query_id=query_id)"),
    "asyncio, a loop that is left": asynchronous("async for batch in await query(detach=True): break"),
}


@pytest.mark.parametrize("text", DETACHED.values(), ids=DETACHED.keys())
async def test_a_query_that_is_detached_runs_on(service: Service, api: Api, gate: Gate, text: str) -> None:
    query_id = new_id()
    async with running(text, service, api, query_id, f"rows 10; {gate.script}; rows 5") as process:
        assert await process.wait() == 0
    await until(lambda: readers(service, api, query_id) == 0)
    live = service.parts.shared.registry.in_memory(api.tenant, query_id)
    assert not live.query.submission.cancel_on_disconnect
    assert live.cancel_wish is None
    gate.open()
    status = await api.ended(query_id)
    assert (status.state, status.stats.rows) == (COMPLETED, 15)


def readers(service: Service, api: Api, query_id: str) -> int:
    live = service.parts.shared.registry.in_memory(api.tenant, query_id)
    assert live is not None
    return live.readers.count


async def is_in(api: Api, query_id: str, *states: int) -> bool:
    try:
        return (await api.status(query_id)).state in states
    except grpc.aio.AioRpcError:
        return False
