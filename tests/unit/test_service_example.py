"""The commented example of a service with several engines and tenants is a configuration that a server takes."""

import re
from pathlib import Path

from typer.testing import CliRunner

from queryengine.app.tenants import tenant_limits
from queryengine.cli.main import app
from queryengine.settings import load

EXAMPLE = Path(__file__).parents[2] / "examples" / "service.yaml"


def test_config_check_takes_it() -> None:
    result = CliRunner().invoke(app, ["config", "check", str(EXAMPLE)])
    assert result.exit_code == 0, result.output


def test_it_routes_short_statements_and_long_ones_apart() -> None:
    routing = load(str(EXAMPLE)).routing
    assert list(routing.rules) == ["etl", "lake", "interactive", "batch"]
    interactive, batch = routing.rules["interactive"], routing.rules["batch"]
    assert interactive.when.estimate is not None
    assert interactive.when.estimate.below == {"seconds": 30, "bytes": 10_000_000_000, "rows": 10_000}
    assert not set(batch.engines) & {"duckdb", "clickhouse"}


def test_config_check_names_the_place_of_an_engine_that_there_is_not(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("to: [duckdb, click", "to: [duckdb, clik")
    path = tmp_path / "service.yaml"
    path.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["config", "check", str(path)])
    assert result.exit_code != 0
    line = text[: text.index("routing:\n")].count("\n") + 1
    assert f"{path}:{line}: routing: rules.interactive: there is no engine 'clikhouse'" in re.sub(
        r"\s+", " ", result.output
    )


def test_its_limits_are_those_of_the_callers_it_names() -> None:
    limits = tenant_limits(load(str(EXAMPLE)))
    assert limits.of("acme", "etl").nearest("execution_timeout_seconds") == (
        7200,
        "tenants.acme.subjects.etl.execution_timeout_seconds",
    )
    assert limits.of("acme", "ann").nearest("running") == (10, "tenants.acme.subjects.*.running")
    assert limits.of("acme", "ann", "dashboards").nearest("interactive") == (
        True,
        "tenants.acme.api_keys.dashboards.interactive",
    )
    assert limits.of("other").nearest("submit_burst") == (100, "tenants.*.submit_burst")
    assert limits.of("other").nearest("running") == (10, "limits.tenant_running")
