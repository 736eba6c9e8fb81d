"""Engine types by name: what is unknown, and what a missing driver says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.registry import ENGINE_TYPES, EXTRAS, engine_class


@pytest.mark.parametrize("name", sorted(EXTRAS))
def test_a_missing_driver_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, ENGINE_TYPES[name].partition(":")[0], None)
    with pytest.raises(QueryEngineError) as caught:
        engine_class(name)
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE
    command = caught.value.failure.message.rpartition("; ")[2]
    # The driver itself, as this package need not be on any index.
    assert re.fullmatch(rf"pip install '[a-z-]*{name}[a-z-]*>=[\d.]+'", command)


def test_no_user_has_the_engine_type_of_the_tests(tmp_path: Path) -> None:
    config = tmp_path / "queryengine.yaml"
    config.write_text("engines: {main: {type: scripted}}")
    command = [sys.executable, "-m", "queryengine", "config", "check", str(config)]
    without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, env=without, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    said = " ".join(f"{done.stdout} {done.stderr}".split())
    assert "engines.main.type" in said
    assert "expected one of duckdb, sqlalchemy, clickhouse, trino, spark, not 'scripted'" in said


def test_another_package_brings_a_type() -> None:
    assert engine_class("scripted").type_name == "scripted"
    assert "scripted" not in ENGINE_TYPES


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'oracle'; known: .*duckdb.*trino"):
        engine_class("oracle")
