"""Placeholders are filled where they are and nowhere else, and every place leads back to the text of the user."""

import pytest

from queryengine.domain.errors import Position
from queryengine.engines.kit.lexicons import POSTGRESQL
from queryengine.engines.kit.placeholders import by_colon, by_number
from queryengine.engines.kit.reading import StatementText
from queryengine.engines.kit.sqltemplate import Template


def template(sql: str) -> Template:
    query = StatementText.read(sql, POSTGRESQL)
    return Template.of(query, by_colon(query) or by_number(query))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT :a, :limit::int", "SELECT <a>, <limit>::int"),
        ("SELECT $1, $2, $1", "SELECT <1>, <2>, <1>"),
        ("SELECT ':a', \":a\", $$:a$$, E'\\':a' /* :a /* :a */ */, x::a", None),
        ("SELECT v[1:a], v[x:a], v[(1):a], :a", "SELECT v[1:a], v[x:a], v[(1):a], <a>"),
        ("SELECT v[:a:3]", "SELECT v[<a>:3]"),
        ("/* :a */ SELECT 1 ; -- :a", "SELECT 1"),
        ("SELECT 1;;", "SELECT 1"),
        ("SELECT :a -- more", "SELECT <a>"),
    ],
)
def test_placeholders(sql: str, expected: str | None) -> None:
    found = template(sql)
    text = found.filled({name: f"<{name}>" for name in found.names})
    assert text.sql == (sql if expected is None else expected)


def test_a_place_is_that_of_the_user() -> None:
    sql = "SELECT :a,\n  nope"
    text = template(sql).filled({"a": "(something longer)"}).within("COPY (", ")")
    assert text.position(sql, text.sql.index("nope")) == Position(2, 3)
    assert text.position(sql, text.sql.index("something")) == Position(1, 8)
    assert text.placeholder(text.sql.index("something")) == "a"
    assert text.placeholder(text.sql.index("nope")) == ""
    assert text.position(sql, 0) is None
