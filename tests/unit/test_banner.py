"""What a person reads when a server starts."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from queryengine.app.process import banner, credential_options
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


@pytest.mark.parametrize(
    ("kinds", "requires_certificates", "options"),
    [
        ([], False, ""),
        (["none"], False, ""),
        (["api_key", "none"], False, ""),
        (["api_key"], False, " --api-key-file FILE"),
        (["jwt", "api_key"], False, " --token-file FILE"),
        (["mtls"], True, " --cert FILE --key FILE"),
        (["api_key"], True, " --cert FILE --key FILE --api-key-file FILE"),
    ],
)
def test_the_first_command_shows_the_credential_that_the_server_asks_for(
    kinds: list[str], requires_certificates: bool, options: str
) -> None:
    settings: Any = SimpleNamespace(
        auth=SimpleNamespace(authenticators=[SimpleNamespace(type=kind) for kind in kinds]),
        tls=SimpleNamespace(client_certificates="required" if requires_certificates else "none"),
    )
    assert credential_options(settings) == options


def test_the_banner_calls_the_program_as_it_was_called(lines: list[str]) -> None:
    assert lines[-1].startswith("  try      .venv/bin/queryengine sql ")
