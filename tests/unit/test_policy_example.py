"""The commented example of everything about identity and policy is a configuration that a server takes."""

import re
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


def test_what_is_a_comment_because_of_its_files_is_right_as_well(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for line in text.splitlines():
        is_key = re.match(r"# *(tls:|  (certificate|key|client_ca|mutual_listen):)|    # +(- type: mtls|  )", line)
        if is_key:
            text = text.replace(line, line.replace("# ", "", 1), 1)
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    settings = load(str(path))
    assert settings.tls.mutual_listen
    (mtls,) = [each for each in settings.auth.authenticators if each.type == "mtls"]
    assert [rule.tenant for rule in mtls.rules] == ["ops", ""]


def test_config_check_names_the_place_of_a_wrong_predicate(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("rows: tenant = {tenant}\n", "rows: tenat = {tenant}\n", 1)
    path = tmp_path / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["config", "check", str(path)])
    assert result.exit_code != 0
    line = text[: text.index("operators:")].count("\n") + 1
    place = f"{path}:{line}: policies.engines.duckdb.relations.main.orders.rules.operators"
    assert f"{place}: 'tenat' is not among the columns of main.orders" in result.output
