"""docs/configuration.md says what the settings are, and the example file can be used."""

import os
from pathlib import Path

import pytest

from queryengine.settings import Settings, SettingsError, load, to_markdown

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("QUERYENGINE_")]:
        monkeypatch.delenv(name)


def test_the_page_ends_with_the_tables_of_the_model() -> None:
    assert PAGE.endswith(to_markdown())


def test_every_key_has_a_row() -> None:
    for group, field in Settings.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            for key in field.annotation.model_fields:
                assert f"| `{group}.{key}` |" in PAGE
        else:
            assert f"| `{group}` |" in PAGE


def test_the_example_file_can_be_used() -> None:
    settings = load(str(ROOT / "examples" / "queryengine.yaml"))
    assert settings.engines["duckdb"].type == "duckdb"


def test_the_messages_on_the_page_are_the_ones_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUERYENGINE_STREAMS__HEARTBEAT_SECONDS", "0")
    monkeypatch.setenv("QUERYENGINE_SERVR__LISTEN", "0.0.0.0:1")
    lines = ["", "server:", "  listn: 0.0.0.0:1", "", "", "", "", "limits:", "  sql_bytes: 0"]
    Path("queryengine.yaml").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SettingsError) as refusal:
        load("queryengine.yaml")
    shown = PAGE.split("```\n")[1].strip().split("\n")
    assert sorted(str(refusal.value).split("\n")) == sorted(shown)
