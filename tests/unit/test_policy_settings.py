"""Keys of row and column policies: mistakes are named with their place, before any engine is asked."""

import re
from pathlib import Path

import pytest

from queryengine.domain.row_policy import RowPolicy
from queryengine.engines.base import Engine
from queryengine.settings import Settings, SettingsError, load
from queryengine.settings.policies import path_of


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("main.orders", ("main", "orders")),
        ('sales."Order Lines"', ("sales", "Order Lines")),
        ('a."b.c""d".e', ("a", 'b.c"d', "e")),
        ("orders", ("orders",)),
    ],
)
def test_names_of_tables_are_read_by_their_parts(name: str, path: tuple[str, ...]) -> None:
    assert path_of(name) == path


@pytest.mark.parametrize("name", ["", "a..b", "a.", ".a", '"a', '"a"b', '""', 'a.""'])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a table"):
        path_of(name)


def test_keys_are_checked_when_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    for text, problem in (
        ("enforce: engine", "expected rewrite"),
        ("default: allow", "expected 'deny'"),
        ("relatons: {}", "unknown key; did you mean relations?"),
        ("relations: {main.t: {columns: [a]}}", "expected rules, or `open: true`"),
        ("relations: {main.t: {columns: [], open: true}}", "must not be empty"),
        ("relations: {main..t: {columns: [a], open: true}}", "is no name of a table"),
        ("relations: {main.t: {columns: [a], rules: {own: {role: [read]}}}}", "did you mean roles?"),
        ("relations: {main.t: {columns: [a], rules: {own: {roles: [boss]}}}}", "expected 'submit'"),
    ):
        path.write_text(f"policies:\n  engines:\n    duckdb:\n      {text}\n")
        with pytest.raises(SettingsError, match=re.escape(problem)) as refusal:
            load(str(path))
        assert f"{path}:4: policies.engines.duckdb" in str(refusal.value)


def test_an_engine_that_policies_cannot_be_applied_to_is_named() -> None:
    (problem,) = Engine.policy_problems(RowPolicy(schema="x", relations=()), {})
    assert problem == (None, "row and column policies cannot be applied to this kind of engine")
    assert Settings().policies.engines == {}
