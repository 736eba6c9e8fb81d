"""What a mistake in the settings reads like: this project's words, with the key, the line, and what was expected."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from queryengine.domain.expectations import expectation
from queryengine.settings import SettingsError, load

Read = Callable[[str], list[str]]

MAPPING = "expected keys with values, each on a line below it"
FOREIGN = ("Input", "Value error", "String should", "Dictionary", "valid ", "unable to", "<class", "discriminator")
"""Words of pydantic."""


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """The mistakes in a text, as the file s.yaml."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("QUERYENGINE_")]:
        monkeypatch.delenv(name)

    def found(text: str) -> list[str]:
        Path("s.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError) as refusal:
            load("s.yaml")
        return str(refusal.value).split("\n")

    return found


AUTHENTICATOR = "auth:\n  authenticators:\n  - "
RULE = "routing:\n  rules:\n    r: "
LIST = "expected a list, such as [one, two]"
TABLE = "policies:\n  engines:\n    duckdb:\n      relations:\n        t: "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("statements:\n  joins_max: three", "s.yaml:2: statements.joins_max: expected a whole number, not 'three'"),
        ("limits:\n  tenant_running: 1.5", "s.yaml:2: limits.tenant_running: expected a whole number, not 1.5"),
        ("tls:\n  health: maybe", "s.yaml:2: tls.health: expected true or false, not 'maybe'"),
        ("server:\n  drain_seconds: 2024-01-01", "s.yaml:2: server.drain_seconds: expected a number, not '2024-01-01'"),
        ("limits:\n  tenant_running: 0", "s.yaml:2: limits.tenant_running: expected at least 1, not 0"),
        ("results:\n  ttl_seconds: 0", "s.yaml:2: results.ttl_seconds: expected more than 0, not 0"),
        (
            "results:\n  collect_mark_percent: 101",
            "s.yaml:2: results.collect_mark_percent: expected at most 100, not 101",
        ),
        ("server:\n  listen: 8815", "s.yaml:2: server.listen: expected text, not 8815; put it in quotation marks"),
        ("server:\n  listen: yes", "s.yaml:2: server.listen: expected text, not true; put it in quotation marks"),
        ("server:\n  listen:", "s.yaml:2: server.listen: expected text, but it has no value"),
        ("server:", f"s.yaml:1: server: {MAPPING}, but it has no value"),
        ("engines: duckdb", f"s.yaml:1: engines: {MAPPING}"),
        ("engines: {}", "s.yaml:1: engines: must not be empty"),
        ("statements:\n  kinds: SELECT", f"s.yaml:2: statements.kinds: {MAPPING}, not 'SELECT'"),
        ("tls:\n  certificate: 5", "s.yaml:2: tls.certificate: expected the path of a file or folder, as text, not 5"),
        (
            "engines:\n  Big!: {type: duckdb}",
            (
                "s.yaml:2: engines.Big!: expected a name of a lower-case letter and up to 62 lower-case letters, "
                "digits, - and _, not 'Big!'"
            ),
        ),
        (
            f"{AUTHENTICATOR}issuer: foo",
            "s.yaml:3: auth.authenticators.0: `type` must be set: one of 'jwt', 'api_key', 'mtls', 'none'",
        ),
        (f"{AUTHENTICATOR}jwt", f"s.yaml:3: auth.authenticators.0: {MAPPING}"),
        (f"{AUTHENTICATOR}{{type: mtls, rules: []}}", "s.yaml:3: auth.authenticators.0.rules: must not be empty"),
        (
            f"{AUTHENTICATOR}{{type: mtls, rules: [{{uri: 'a/{{subject}}', tenant: é}}]}}",
            "s.yaml:3: auth.authenticators.0.rules.0.tenant: expected at most 128 printable ASCII characters, not 'é'",
        ),
        (
            f"{TABLE}{{columns: [a], rules: {{all: {{rows: 3}}}}}}",
            (
                "s.yaml:5: policies.engines.duckdb.relations.t.rules.all.rows: expected text, not 3; "
                "put it in quotation marks"
            ),
        ),
        (
            "policies:\n  decision_point: {url: 'https://x', path: /v1}",
            (
                "s.yaml:2: policies.decision_point.path: expected a path such as /v1/data/package/rule, of letters, "
                "digits and _ . % - between slashes, not '/v1'"
            ),
        ),
        (
            "statements:\n  functions: {only: ['@comput']}",
            "s.yaml:2: statements.functions.only: unknown group '@comput'; there is @computing alone",
        ),
        (
            "tenants:\n  'acme ': {running: 1}",
            "s.yaml:2: tenants.acme : expected a name without a blank at either end, not 'acme '",
        ),
        (
            "tenants:\n  a: {subjects: {' b': {running: 1}}}",
            "s.yaml:2: tenants.a.subjects. b: expected a name without a blank at either end, not ' b'",
        ),
        (
            f"{RULE}{{to: duckdb, when: {{labels: {{a: 1}}}}}}",
            f"s.yaml:3: routing.rules.r.when.labels.a: {LIST}, not 1",
        ),
        (
            f"{RULE}{{to: duckdb, when: {{labels: {{a: [1]}}}}}}",
            "s.yaml:3: routing.rules.r.when.labels.a.0: expected text, not 1; put it in quotation marks",
        ),
        (f"{RULE}{{to: 5}}", f"s.yaml:3: routing.rules.r.to: {LIST}, not 5"),
        (f"{RULE}{{to: duckdb, when: {{tenants: []}}}}", "s.yaml:3: routing.rules.r.when.tenants: must not be empty"),
        (
            "routing:\n  rules:\n    R: {to: duckdb}",
            (
                "s.yaml:3: routing.rules.R: expected a name of a lower-case letter and up to 62 lower-case letters, "
                "digits, - and _, not 'R'"
            ),
        ),
    ],
)
def test_a_value_of_the_wrong_kind(read: Read, text: str, expected: str) -> None:
    (found,) = read(text)
    assert found == expected
    assert not [words for words in FOREIGN if words in found]


def test_a_kind_that_is_not_known_keeps_what_pydantic_says_of_it() -> None:
    assert expectation("unheard_of", {}, "Input should be round") == "expected round"
    assert expectation("value_error", {}, "Value error, expected a colour") == "expected a colour"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SERVER": "x"}, "environment variable QUERYENGINE_SERVER: expected JSON; set single keys with __ instead"),
        (
            {"AUTH__AUTHENTICATORS": "jwt"},
            "environment variable QUERYENGINE_AUTH__AUTHENTICATORS: expected JSON; set single keys with __ instead",
        ),
        (
            {"SERVER__LISTEN__PORT": "1"},
            "environment variable QUERYENGINE_SERVER__LISTEN__PORT: server.listen: expected text",
        ),
    ],
)
def test_a_variable_is_named(
    read: Read, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"QUERYENGINE_{name}", value)
    assert read("") == [expected]


INDENTATION = "check the indentation"
BRACKET = "is not closed, or lacks a comma"
KEY = "a key is not expected here"


@pytest.mark.parametrize(
    ("text", "line", "column", "sentence"),
    [
        ("server:\n  listen: a\n b: c\n", 3, 2, INDENTATION),
        ("server:\n  - a\n  b: c\n", 3, 3, INDENTATION),
        ("- a\nserver: b\n", 2, 1, INDENTATION),
        ("server\nlisten: a\n", 2, 7, KEY),
        ("server: a: b\n", 1, 10, KEY),
        ("server: - a\n", 1, 9, "an item `- ` of a list must begin on a line of its own"),
        ("server:\n\tlisten: a\n", 2, 1, "indent with spaces"),
        ("server: {listen: a\n", 1, 9, "the { that opens here " + BRACKET),
        ("log: {}\na: [1, 2\nb: 3\n", 2, 4, "the [ that opens here " + BRACKET),
        ("server: {a: b}}\n", 1, 15, "a } closes nothing here"),
        ("a: [\n", 2, 1, "a bracket may not be closed"),
        ("server:\n  listen: 'a\n", 2, 11, "the quotation that begins here is not closed"),
        ('server:\n  listen: "abc" def\n', 2, 17, "quote the whole value"),
        ('server:\n  listen: "\\q"\n', 2, 13, "a backslash in double quotation marks is written \\\\"),
        ("server:\n  listen: *secret\n", 2, 11, "begins with * or & in quotation marks"),
        ("server:\n  listen: &\n", 2, 11, "begins with * or & in quotation marks"),
        ("server:\n  listen: !secret x\n", 2, 11, "begins with ! in quotation marks"),
        ("server:\n  listen: !<secret\n", 2, 11, "begins with ! in quotation marks"),
        ("server:\n  listen: @secret\n", 2, 11, "begins with @ in quotation marks"),
        ("server:\n  listen: %secret\n", 2, 11, "begins with % in quotation marks"),
        ("server:\n  listen: `secret`\n", 2, 11, "begins with ` in quotation marks"),
        ("%YAML 3.0\n---\na: 1\n", 1, 1, "begins with % or ! in quotation marks"),
        ("server:\n  listen: |secret\n", 2, 12, "may stand behind | or >"),
        ("---\na: 1\n---\nb: 2\n", 3, 1, "remove the line ---"),
        ("{a: 1} b\n", 1, 8, "nothing may stand behind the bracket that closes all"),
        ("? [a]\n: b\n", 1, 3, "a key must be text"),
        ("server:\n  <<: secret\n", 2, 7, "`<<` takes keys with values"),
        ("a: 1\nb: \x01\n", 2, 4, "the character U+0001 is not allowed"),
    ],
)
def test_yaml_that_is_none_is_one_sentence_with_line_and_column(
    read: Read, text: str, line: int, column: int, sentence: str
) -> None:
    (found,) = read(text)
    assert found.startswith(f"s.yaml:{line}: not YAML in column {column}: ")
    assert sentence in found
    assert "secret" not in found
    # Words of the parser.
    assert not [words for words in ("<block", "found ", "token", "stream", "scalar", "mapping") if words in found]


def test_a_file_that_is_no_text_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"log: {}\n# \xff\n")
    with pytest.raises(SettingsError, match=r"s\.yaml:2: the file is not UTF-8 text$"):
        load(str(path))
