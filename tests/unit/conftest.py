"""Fixtures of the client's and the command line's tests, and of those of a DuckDB engine over a folder."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from queryengine.cli.main import app
from queryengine.engines.duckdb import views
from queryengine.engines.duckdb.engine import DuckDBEngine
from tests.unit.fake_service import FakeService, serving


@pytest.fixture
def fake() -> FakeService:
    return FakeService()


@pytest.fixture
def fake_target(fake: FakeService) -> Iterator[str]:
    """Host and port that the fake answers on."""
    with serving(fake) as address:
        yield address


@pytest.fixture
def run(fake_target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a command as a user types it, with the fake as its server."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("QUERYENGINE_TARGET", fake_target)
    return lambda *arguments, **options: CliRunner().invoke(app, list(arguments), **options)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """An empty folder. What stands above it in its path means something to DuckDB, and must not."""
    folder = tmp_path / "env=prod [1]*" / "lake"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def open_lake(lake: Path) -> Iterator[Callable[..., DuckDBEngine]]:
    """Opens a DuckDB engine over the folder, with further options."""
    opened = []

    def open_engine(**options: Any) -> DuckDBEngine:
        opened.append(DuckDBEngine("lake", {"directory": str(lake), "threads": 1, **options}))
        return opened[-1]

    yield open_engine
    for engine in opened:
        engine.close()


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is not looked at only because time has passed."""
    monkeypatch.setattr(views, "REFRESH_SECONDS", 1e9)
