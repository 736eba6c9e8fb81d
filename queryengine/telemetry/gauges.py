"""What is read at the moment of a scrape. The state belongs to the event loop and is read there and nowhere else.

A scrape waits for the loop for a bounded time. When it gets no answer, because the loop is stuck or at its end, these
metrics are missing from it; the counters are reported all the same.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from queryengine.telemetry import names

logger = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 3.0
"""How long a scrape waits for the loop; Prometheus gives up after 10 seconds unless configured otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReading:
    """One engine at a moment."""

    is_up: bool
    slots: int
    running: int
    queued: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The service at a moment; engines by name."""

    engines: Mapping[str, EngineReading]
    spool_bytes: int
    streams: int


class Gauges(Collector):
    """Calls `read` on the loop for each scrape."""

    def __init__(self, loop: asyncio.AbstractEventLoop, read: Callable[[], Reading]) -> None:
        self._loop = loop
        self._read = read

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The families without a value: what a registry asks for when it learns the names."""
        return _families(Reading(engines={}, spool_bytes=0, streams=0))

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """To be called in another thread than the loop's."""
        reading = self._ask()
        return [] if reading is None else _families(reading)

    def _ask(self) -> Reading | None:
        answer: Future[Reading] = Future()
        try:
            self._loop.call_soon_threadsafe(self._answer, answer)
        except RuntimeError:
            # The loop is closed.
            return None
        try:
            return answer.result(ANSWER_SECONDS)
        except TimeoutError:
            answer.cancel()
            logger.warning("a scrape got no answer of the event loop within %g seconds", ANSWER_SECONDS)
            return None

    def _answer(self, answer: Future[Reading]) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(self._read())
        except Exception as cause:
            # It fails the scrape that asked, not the loop.
            answer.set_exception(cause)


def _families(reading: Reading) -> list[GaugeMetricFamily]:
    up, slots, running, queued, workers = (
        GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
        for metric in (
            names.ENGINE_UP,
            names.ENGINE_SLOTS,
            names.ENGINE_RUNNING,
            names.ENGINE_QUEUED,
            names.ENGINE_WORKERS,
        )
    )
    for name, engine in reading.engines.items():
        up.add_metric([name], engine.is_up)
        slots.add_metric([name], engine.slots)
        running.add_metric([name], engine.running)
        queued.add_metric([name], engine.queued)
        workers.add_metric([name], engine.workers)
    spool = GaugeMetricFamily(names.SPOOL_BYTES.name, names.SPOOL_BYTES.meaning, reading.spool_bytes)
    streams = GaugeMetricFamily(names.STREAMS.name, names.STREAMS.meaning, reading.streams)
    return [up, slots, running, queued, workers, spool, streams]
