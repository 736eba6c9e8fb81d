"""A scrape as Prometheus does it: over real HTTP, and read by the client library's own parser."""

import asyncio
import urllib.request
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from queryengine.app.service import Service
from tests.server_process import ServerProcess


class Scrape:
    """What one scrape told: families by name, samples by name and labels."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self._samples[f"queryengine_{name}", frozenset(labels.items())]

    def names(self) -> set[str]:
        return {name for name, _ in self._samples}

    def ended(self, **labels: str) -> float:
        return self.total("queries_ended_total", **labels)

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples with these labels, whatever others they have."""
        wanted = frozenset(labels.items())
        found = [
            value for (key, told), value in self._samples.items() if key == f"queryengine_{name}" and wanted <= told
        ]
        return sum(found)


def get(address: str, *, path: str = "/metrics", **headers: str) -> Any:
    """The body of a reply. Blocks."""
    request = urllib.request.Request(f"http://{address}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.status == 200
        return reply.read()


async def scrape(service: Service | ServerProcess) -> Scrape:
    return Scrape((await asyncio.to_thread(get, service.metrics_address)).decode())
