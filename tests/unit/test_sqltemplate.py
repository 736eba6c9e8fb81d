"""Placeholders are found where they are and nowhere else, and every place leads back to the text of the user."""

import pytest

from queryengine.domain.errors import Position
from queryengine.engines.sqltemplate import Template


@pytest.mark.parametrize(
    ("sql", "names", "expected"),
    [
        ("SELECT :a, :limit::int", ["a", "limit"], "SELECT <a>, <limit>::int"),
        ("SELECT $1, $2, $1", ["1", "2"], "SELECT <1>, <2>, <1>"),
        ("SELECT ':a', \":a\", $$:a$$, E'\\':a' /* :a /* :a */ */, x::a", ["a"], None),
        ("SELECT v[1:a], v[x:a], v[(1):a], :a", ["a"], "SELECT v[1:a], v[x:a], v[(1):a], <a>"),
        ("SELECT v[:a:3]", ["a"], "SELECT v[<a>:3]"),
        ("SELECT 1 ; -- :a", ["a"], "SELECT 1"),
        ("SELECT 1;;", [], "SELECT 1"),
        ("SELECT :a -- more", ["a"], "SELECT <a>"),
    ],
)
def test_placeholders(sql: str, names: list[str], expected: str | None) -> None:
    text = Template.cut(sql, "postgres", names).filled({name: f"<{name}>" for name in names})
    assert text.sql == (sql if expected is None else expected)


def test_a_place_is_that_of_the_user() -> None:
    sql = "SELECT :a,\n  nope"
    text = Template.cut(sql, "postgres", ["a"]).filled({"a": "(something longer)"}).within("COPY (", ")")
    assert text.position(sql, text.sql.index("nope")) == Position(2, 3)
    assert text.position(sql, text.sql.index("something")) == Position(1, 8)
    assert text.placeholder(text.sql.index("something")) == "a"
    assert text.placeholder(text.sql.index("nope")) == ""
    assert text.position(sql, 0) is None
