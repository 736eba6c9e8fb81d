"""What a person reads when a server starts."""

from pathlib import Path

from queryengine.app import Service
from queryengine.process import banner
from queryengine.settings import Settings


def test_the_banner_counts_workers_and_calls_the_program_as_told(tmp_path: Path) -> None:
    engines = {"one": {"type": "scripted", "workers": 1}, "two": {"type": "scripted", "workers": 2}}
    settings = Settings(engines=engines, default_engine="one", state={"directory": tmp_path})

    lines = banner(Service(settings), ".venv/bin/queryengine").splitlines()

    assert "  engine   one (scripted, 1 worker) default" in lines
    assert "  engine   two (scripted, 2 workers)" in lines
    assert lines[-1].startswith("  try      .venv/bin/queryengine sql ")
