"""The commented example of everything about identity and policy is a configuration that a server takes."""

from pathlib import Path

from typer.testing import CliRunner

from queryengine.cli.main import app
from queryengine.settings import load

EXAMPLE = Path(__file__).parents[2] / "examples" / "policy.yaml"


def test_config_check_takes_it() -> None:
    result = CliRunner().invoke(app, ["config", "check", str(EXAMPLE)])
    assert result.exit_code == 0, result.output


def test_it_shows_rules_on_statements() -> None:
    statements = load(str(EXAMPLE)).statements
    assert statements.kinds is not None
    assert statements.of("duckdb").joins_max != statements.joins_max
