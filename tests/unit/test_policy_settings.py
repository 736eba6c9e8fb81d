"""Keys of row and column policies: mistakes are named with their place, before any engine is asked."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from queryengine.app.checking import check
from queryengine.domain.clock import SystemClock
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
        ("enforce: server", "expected 'rewrite', 'engine' or 'both'"),
        ("relations: {main.t: {columns: [a], open: true, enforce: engine}}", "expected no `enforce` beside"),
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


UNKNOWN = "unknown placeholder "
KNOWN = "known are {tenant}, {subject} and {claims.NAME}"
MASKS = "expected null, hash, last4, or an SQL expression over the columns"


@pytest.mark.parametrize(
    ("rule", "key", "problem"),
    [
        ("rows: 'a = {claim.x}'", "rows", UNKNOWN + "{claim.x}; did you mean {claims.x}?"),
        (
            "rows: 'a = {Claims.team}'",
            "rows",
            UNKNOWN + "{Claims.team}; did you mean {claims.team}?",
        ),
        ("rows: 'a = {tennant}'", "rows", UNKNOWN + "{tennant}; did you mean {tenant}?"),
        ("rows: 'a = { tenant }'", "rows", UNKNOWN + "{ tenant }; did you mean {tenant}?"),
        ("rows: 'a = {user}'", "rows", UNKNOWN + "{user}; " + KNOWN),
        ("rows: 'a = {claims.}'", "rows", UNKNOWN + "{claims.}; " + KNOWN),
        (
            "masks: {a: 'left({subjct}, 2)'}",
            "masks.a",
            UNKNOWN + "{subjct}; did you mean {subject}?",
        ),
        ("masks: {a: last5}", "masks.a", "'last5' is neither a mask nor a column; did you mean last4?"),
        ("masks: {a: Hsh}", "masks.a", "'Hsh' is neither a mask nor a column; did you mean hash?"),
        ("masks: {a: secret}", "masks.a", "'secret' is neither a mask nor a column; " + MASKS),
    ],
)
def test_a_name_in_a_policy_that_can_only_be_misspelt(tmp_path: Path, rule: str, key: str, problem: str) -> None:
    path = tmp_path / "settings.yaml"
    above = ("policies", "  engines", "    duckdb", "      relations", "        main.t")
    below = ("          columns: [a, b]", "          rules:", "            own:", f"              {rule}")
    path.write_text("\n".join([*(f"{line}:" for line in above), *below]))
    with pytest.raises(SettingsError) as refusal:
        load(str(path))
    assert str(refusal.value) == f"{path}:9: policies.engines.duckdb.relations.main.t.rules.own.{key}: {problem}"


def test_what_only_looks_like_a_placeholder_or_a_mask_is_left_to_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    rows = ("a = '{claim.x}'", "a = {claims.x}", "b = {'k': 1}.k", 'a = {subject} OR "{x}" = 1', "a = {p:String}")
    masks = ("B", "b", "null", "NULL", "hash", "last4", "true", "current_date", "upper(a)")
    for text in rows:
        path.write_text(yaml.safe_dump(policy({"rows": text})))
        load(str(path))
    for text in masks:
        path.write_text(yaml.safe_dump(policy({"masks": {"a": text}})))
        load(str(path))


def policy(rule: dict[str, Any]) -> dict[str, Any]:
    relations = {"main.t": {"columns": ["a", "b"], "rules": {"own": rule}}}
    return {"policies": {"engines": {"duckdb": {"relations": relations}}}}


@pytest.mark.parametrize("text", ["a = = b", "(a", "a b c d", "a ~~~ !", "case when", "'open", "/* open"])
def test_an_expression_that_cannot_be_read_is_said_without_the_words_of_a_parser(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.yaml"
    for rule in ({"rows": text}, {"masks": {"a": text}}):
        path.write_text(yaml.safe_dump(policy(rule)))
        with pytest.raises(SettingsError) as refusal:
            check(load(str(path)), SystemClock())
        (line,) = str(refusal.value).splitlines()
        assert "policies.engines.duckdb.relations.main.t.rules.own: " in line
        assert not [each for each in ("token", "Token", "Expected", "Required", "Invalid") if each in line], line
