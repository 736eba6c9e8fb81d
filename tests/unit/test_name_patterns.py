"""Patterns of names: what matches, what does not, and that no name takes long."""

from collections.abc import Mapping

import pytest

from queryengine.policy.identity.name_pattern import NAME_CHARACTERS_MAX, NamePattern

SPIFFE = "spiffe://example.org/ns/{tenant}/sa/{subject}"


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        (SPIFFE, "spiffe://example.org/ns/growth/sa/report-7", {"tenant": "growth", "subject": "report-7"}),
        ("spiffe://example.org/one", "spiffe://example.org/one", {}),
        ("{tenant}", "growth", {"tenant": "growth"}),
        ("{subject}@{tenant}", "ann.b@growth.example", {"subject": "ann.b", "tenant": "growth.example"}),
        ("{subject}.{tenant}.{team}", "a.b.c.d", {"subject": "a", "tenant": "b", "team": "c.d"}),
        ("{subject}--{tenant}", "a--b", {"subject": "a", "tenant": "b"}),
        # What means something in expressions means itself.
        ("a.c/{tenant}", "a.c/x", {"tenant": "x"}),
        ("(a|b)*{tenant}", "(a|b)*x", {"tenant": "x"}),
        # As a whole, and nothing else.
        (SPIFFE, "spiffe://example.org/ns/growth/sa/report/x", None),
        (SPIFFE, "spiffe://example.org/ns/growth/sa/", None),
        (SPIFFE, "spiffe://example.org/ns//sa/report", None),
        (SPIFFE, "spiffe://example.org/ns/growth/sa/report\n", None),
        (SPIFFE, "xspiffe://example.org/ns/growth/sa/report", None),
        (SPIFFE, "spiffe://example.org.evil/ns/growth/sa/report", None),
        (SPIFFE, "spiffe://exampleXorg/ns/growth/sa/report", None),
        (SPIFFE, "SPIFFE://example.org/ns/growth/sa/report", None),
        (SPIFFE, "spiffe://example.org/ns/a%2Fb/sa/report", None),
        (SPIFFE, "spiffe://example.org/ns/größe/sa/report", None),
        (SPIFFE, "spiffe://example.org/ns/../sa/x/ns/growth/sa/report", None),
        ("a.c/{tenant}", "abc/x", None),
        ("{tenant}", "", None),
        ("{tenant}", "a b", None),
        ("{tenant}", "x" * 129, None),
    ],
)
def test_a_name_matches_as_a_whole(pattern: str, name: str, found: Mapping[str, str] | None) -> None:
    assert NamePattern(pattern).match(name) == found


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("", "must not be empty"),
        ("{tenant", "a brace must be one of a placeholder"),
        ("tenant}", "a brace must be one of a placeholder"),
        ("{{tenant}}", "a brace must be one of a placeholder"),
        ("{}", "must be named by"),
        ("{Tenant}", "must be named by"),
        ("{tenant.name}", "must be named by"),
        ("{tenant:.*}", "must be named by"),
        ("{tenant}/{tenant}", "may stand once"),
        ("{tenant}{subject}", "need text between them"),
    ],
)
def test_a_pattern_that_means_nothing_certain_is_refused(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        NamePattern(pattern)


def test_hostile_names_are_read_once() -> None:
    """With a pattern that could be divided in many ways these would take longer than the universe lasts."""
    pattern = NamePattern(".".join(f"{{a{n}}}" for n in range(20)) + "!")
    for name in ("a." * 1024, "." * 2048, "a" * 2048, "a." * 10_000, "-@" * 1024):
        assert pattern.match(name) is None
    assert NamePattern("{tenant}").match("a" * (NAME_CHARACTERS_MAX + 1)) is None
