"""What a person reads when a server starts."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from queryengine.app.process import banner
from queryengine.app.service import Service
from queryengine.settings import Settings
from queryengine.workers.pool import EngineLoad

UP = EngineLoad(
    slots=1, running=0, available=True, detail="Scripted 1", is_starting=False, worker_pids=(1,), confinement=()
)
LOADS = {
    "one": UP,
    "two": replace(UP, available=False, detail="connection refused\nIs the server running?"),
    "three": replace(UP, available=False, detail="starting", is_starting=True),
}


class Pool:
    """Knows how the engines are."""

    def load(self, engine: str) -> EngineLoad:
        return LOADS[engine]


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    engines = {name: {"type": "scripted", "workers": number} for number, name in enumerate(LOADS, 1)}
    service = Service(Settings(engines=engines, default_engine="one", state={"directory": tmp_path}))
    edges = SimpleNamespace(
        address="127.0.0.1:8815", admin_address="127.0.0.1:8816", metrics_address="", mutual_address=""
    )
    service._parts = SimpleNamespace(execution=SimpleNamespace(pool=Pool()), edges=edges)  # type: ignore[assignment]
    return banner(service, ".venv/bin/queryengine").splitlines()


def test_the_banner_counts_workers_and_marks_engines_that_are_down(lines: list[str]) -> None:
    assert [line for line in lines if line.startswith("  engine")] == [
        "  engine   one (scripted, 1 worker) default",
        "  engine   two (scripted, 2 workers) DOWN: connection refused",
        "  engine   three (scripted, 3 workers) starting",
    ]


def test_the_banner_calls_the_program_as_it_was_called(lines: list[str]) -> None:
    assert lines[-1].startswith("  try      .venv/bin/queryengine sql ")
