"""The port of metrics, and a scrape that gets no answer of the event loop."""

import asyncio
import gzip
import socket
import threading
import urllib.error
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import psutil
import pytest

from queryengine.edges.admin.scraping import MetricsServer
from queryengine.edges.grpc.server import PortTaken
from queryengine.telemetry import gauges
from queryengine.telemetry.gauges import EngineReading, Gauges, Reading
from queryengine.telemetry.metrics import Metrics
from tests.scraping import Scrape, get
from tests.support import until

ENGINE = EngineReading(is_up=True, slots=3, running=2, queued=1, workers=1)
READING = Reading(engines={"main": ENGINE}, spool_bytes=7, streams=5)


@asynccontextmanager
async def listening(address: str = "127.0.0.1:0") -> AsyncIterator[str]:
    metrics = Metrics(["main"], "1")
    metrics.registry.register(Gauges(asyncio.get_running_loop(), lambda: READING))
    server = MetricsServer(address, metrics.registry, lambda: False)
    server.start()
    try:
        yield server.address
    finally:
        server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
async def test_it_tells_its_port_and_gives_it_back(host: str) -> None:
    async with listening(f"{host}:0") as address:
        assert address.rpartition(":")[0] == host
        seen = Scrape((await asyncio.to_thread(get, address)).decode())
        assert (seen("engine_running", engine="main"), seen("spool_bytes"), seen("streams")) == (2, 7, 5)
    async with listening(address):
        pass


async def test_a_probe_hears_whether_work_is_taken() -> None:
    async with listening() as address:
        assert await asyncio.to_thread(get, address, path="/livez") == b"alive\n"
        with pytest.raises(urllib.error.HTTPError) as refusal:
            await asyncio.to_thread(get, address, path="/readyz")
        with refusal.value as reply:
            assert (reply.code, reply.read()) == (503, b"not ready\n")


async def test_scrapes_may_come_at_once_and_compressed() -> None:
    async with listening() as address:
        ask = {"Accept-Encoding": "gzip"}
        bodies = await asyncio.gather(*(asyncio.to_thread(get, address, **ask) for _ in range(8)))
    for body in bodies:
        assert Scrape(gzip.decompress(body).decode())("engine_up", engine="main") == 1


async def test_many_scrapes_wait_to_be_accepted() -> None:
    """The event loop accepts none while this test connects, so the kernel completes what the backlog has room for."""
    async with listening() as address:
        host, _, port = address.rpartition(":")
        with ExitStack() as sockets:
            for _ in range(100):
                # Beyond the backlog a connection is not refused: it times out.
                sockets.enter_context(socket.create_connection((host, int(port)), timeout=5))


async def test_some_metrics_may_be_asked_for_by_name() -> None:
    async with listening() as address:
        path = "/metrics?name[]=queryengine_engine_up&name[]=queryengine_queries_submitted_total"
        body = await asyncio.to_thread(get, address, path=path)
    assert Scrape(body.decode()).names() == {"queryengine_engine_up", "queryengine_queries_submitted_total"}


async def test_a_taken_port_is_refused_with_its_address() -> None:
    async with listening() as address:
        with pytest.raises(PortTaken, match=f"cannot listen on {address}"):
            MetricsServer(address, Metrics([], "1").registry, lambda: False)


async def test_a_caller_that_says_nothing_keeps_nobody_waiting() -> None:
    async with listening() as address:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port))) as silent:
            await until(lambda: has_two_ends(silent.getsockname()[1]))
            assert await asyncio.to_thread(get, address)


async def test_a_loop_that_does_not_answer_costs_a_scrape_its_gauges_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gauges, "ANSWER_SECONDS", 0.01)
    metrics = Metrics(["main"], "1")
    metrics.submitted("main")
    # Nothing runs on it while this call holds it, as while it stops.
    asked = Gauges(asyncio.get_running_loop(), lambda: READING)
    metrics.registry.register(asked)
    told: list[str] = []
    thread = threading.Thread(target=lambda: told.extend(sample for sample in names_of(metrics)))
    thread.start()
    thread.join()
    assert "queryengine_queries_submitted_total" in told
    assert "queryengine_engine_up" not in told
    assert "no answer of the event loop" in caplog.text


def test_a_loop_that_is_closed_is_not_waited_for() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    assert list(Gauges(loop, lambda: READING).collect()) == []


async def test_a_defect_fails_the_scrape_and_not_the_loop() -> None:
    def read() -> Reading:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(Gauges(asyncio.get_running_loop(), read).collect)


def names_of(metrics: Metrics) -> list[str]:
    return [sample.name for family in metrics.registry.collect() for sample in family.samples]


def has_two_ends(port: int) -> bool:
    """Whether the connection is accepted: this process has both ends of it then."""
    found = [each for each in psutil.Process().net_connections("tcp4") if each.status == psutil.CONN_ESTABLISHED]
    return sum(port in (each.laddr.port, each.raddr.port) for each in found if each.laddr and each.raddr) == 2
