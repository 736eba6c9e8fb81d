"""How many statements a text holds, whether its one statement reads, and where its placeholders are: from tokens."""

import pytest

from queryengine.domain.errors import Failure, Position, QueryEngineError, Reason
from queryengine.engines.kit.lexicons import CLICKHOUSE, POSTGRESQL, SPARK, SQLITE, TRINO
from queryengine.engines.kit.lexing import Lexer
from queryengine.engines.kit.placeholders import by_colon, by_number, by_question_mark, of_one_kind
from queryengine.engines.kit.reading import StatementText

LEXERS = {"postgresql": POSTGRESQL, "clickhouse": CLICKHOUSE, "sqlite": SQLITE, "trino": TRINO, "spark": SPARK}


def failure(sql: str, lexer: Lexer = POSTGRESQL) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        StatementText.read(sql, lexer)
    return caught.value.failure


@pytest.mark.parametrize(
    ("engine", "sql", "expected"),
    [
        ("postgresql", "a'b''c;'", ["a", "'b''c;'"]),
        ("postgresql", r"'\';", [r"'\'", ";"]),
        ("postgresql", r"E'\';' 1", [r"E'\';'", "1"]),
        ("postgresql", "E'a'\n -- x\n 'b\\';' 1", ["E'a'\n -- x\n 'b\\';'", "1"]),
        ("postgresql", "E'a' -- x'\n--y\n'b\\';' 1", ["E'a' -- x'\n--y\n'b\\';'", "1"]),
        ("postgresql", "'a'\n'b\\';", ["'a'", "'b\\'", ";"]),
        ("postgresql", "$$a;b$$ $x$ $$;$y$ $x$ a$b$ 1", ["$$a;b$$", "$x$ $$;$y$ $x$", "a$b$", "1"]),
        ("postgresql", "/* a /* ; */ ; */ 1 --;\r+1", ["1", "+", "1"]),
        ("postgresql", 'U&"d\\0061;" "a"";" `', ['U&"d\\0061;"', '"a"";"', "`"]),
        ("postgresql", "a::int := :b $1 größe\u00a0x", ["a", "::", "int", ":=", ":", "b", "$1", "größe\u00a0x"]),
        ("postgresql", "1.5 .5e-3 0x1F 1_000 1FOR", ["1.5", ".5e-3", "0x1F", "1_000", "1", "FOR"]),
        ("clickhouse", r"'\';' `a\`;` ", [r"'\';'", r"`a\`;`"]),
        ("clickhouse", "/* a /* ; */ ; */ 1 -- ;\r;\n+1", ["1", "+", "1"]),
        ("clickhouse", "1 // ;\n+1 # ;\n+2 #! ;\n", ["1", "+", "1", "+", "2"]),
        ("clickhouse", "$a$;$b$;$a$ \u2018;\u2019 \u201c;\u201d", ["$a$;$b$;$a$", "\u2018;\u2019", "\u201c;\u201d"]),
        ("sqlite", "[a;] `b;` ?1 :a @b $c::d(e) #f /* ;", ["[a;]", "`b;`", "?1", ":a", "@b", "$c::d(e)", "#f"]),
        ("sqlite", "/* /* */ 1 -- ;\r;\n+1", ["1", "+", "1"]),
        ("trino", "/* /* */ 1 -- ;\r+1", ["1", "+", "1"]),
        ("trino", r"'\'; X'00' U&'\';", [r"'\'", ";", "X'00'", r"U&'\'", ";"]),
        ("spark", r"r'\' ';' '\';'", [r"r'\'", "';'", r"'\';'"]),
        ("spark", "/* /* ; */ ; */ 1 -- \\\n;\n+1", ["1", "+", "1"]),
        ("spark", "/*+ h('*/;') */ 1", ["/*+", "h", "(", "'*/;'", ")", "*/", "1"]),
    ],
)
def test_a_text_is_cut_as_its_engine_cuts_it(engine: str, sql: str, expected: list[str]) -> None:
    assert [token.text for token in LEXERS[engine].tokens(sql)] == expected


@pytest.mark.parametrize("engine", LEXERS)
@pytest.mark.parametrize(
    ("sql", "reason", "place"),
    [
        ("", Reason.NOT_ONE_STATEMENT, None),
        ("; -- nothing", Reason.NOT_ONE_STATEMENT, None),
        ("SELECT 1; SELECT 2", Reason.NOT_ONE_STATEMENT, None),
        ("SELECT ';' ; DROP TABLE t", Reason.NOT_ONE_STATEMENT, None),
        ("\n SELEC 1", Reason.SYNTAX_ERROR, (2, 2)),
        ("1 + 1", Reason.SYNTAX_ERROR, (1, 1)),
        ("'SELECT'", Reason.SYNTAX_ERROR, (1, 1)),
        ("SELECT\n ((1)", Reason.SYNTAX_ERROR, (2, 2)),
        ("SELECT 1) UNION (SELECT 2", Reason.SYNTAX_ERROR, (1, 9)),
        ("SELECT (1]", Reason.SYNTAX_ERROR, (1, 10)),
        ("SELECT 1,\n 'a", Reason.SYNTAX_ERROR, (2, 2)),
        ('SELECT 1 AS "a', Reason.SYNTAX_ERROR, (1, 13)),
        ("SELECT 1\0; DROP TABLE t", Reason.SYNTAX_ERROR, (1, 9)),
        ("SELECT " + "(" * 401 + "1" + ")" * 401, Reason.STATEMENT_TOO_COMPLEX, (1, 408)),
        ("set x = 1", Reason.STATEMENT_NOT_ALLOWED, (1, 1)),
        ("(INSERT INTO t VALUES (1))", Reason.STATEMENT_NOT_ALLOWED, (1, 2)),
        ("/* SELECT */ DELETE FROM t", Reason.STATEMENT_NOT_ALLOWED, (1, 14)),
        ("WITH x AS (SELECT 1) DELETE FROM t", Reason.STATEMENT_NOT_ALLOWED, (1, 22)),
        ("WITH x AS (SELECT 1), y (a) AS (SELECT 2) INSERT INTO t SELECT 1", Reason.STATEMENT_NOT_ALLOWED, (1, 43)),
        ("(WITH x AS (SELECT 1) MERGE INTO t USING x ON 1 = 1)", Reason.STATEMENT_NOT_ALLOWED, (1, 23)),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT 1", Reason.STATEMENT_NOT_ALLOWED, (1, 12)),
        ("WITH x AS NOT MATERIALIZED (UPDATE t SET a = 1) SELECT 1", Reason.STATEMENT_NOT_ALLOWED, (1, 29)),
        ("SELECT * FROM (WITH x AS (SELECT 1) DELETE FROM t)", Reason.STATEMENT_NOT_ALLOWED, (1, 37)),
    ],
)
def test_what_is_not_one_query_is_refused(engine: str, sql: str, reason: Reason, place: tuple[int, int] | None) -> None:
    found = failure(sql, LEXERS[engine])
    assert found.reason is reason
    assert found.position == (None if place is None else Position(*place))


@pytest.mark.parametrize("engine", LEXERS)
@pytest.mark.parametrize(
    "sql",
    [
        ";; (SELECT 1) ;",
        "SELECT 'delete from t; insert' AS \"update\"",
        "SELECT count(*) delete FROM t",
        "WITH x AS (SELECT 1) SELECT count(*) update FROM x",
        "SELECT trim(delete FROM x)",
        "SELECT * FROM f() AS (update int, merge text)",
        "TABLE t",
    ],
)
def test_a_query_is_read_whatever_its_names(engine: str, sql: str) -> None:
    StatementText.read(sql, LEXERS[engine])


@pytest.mark.parametrize(
    ("engine", "sql", "expected"),
    [
        ("postgresql", "SELECT :a, :limit::int, :select, :größe", ["a", "limit", "select", "größe"]),
        ("postgresql", "SELECT ':a', \":a\", $$:a$$, E'\\':a' /* :a */, x::a -- :a", []),
        ("postgresql", "SELECT v[1:a], v[x:a], v[(1):a], v[i :a], v[1 : a], :b", ["b"]),
        ("postgresql", "SELECT v[:a:3], v[1 + :b], v[CASE WHEN true THEN :c END]", ["a", "b", "c"]),
        ("postgresql", "SELECT f(x := :a), date :b", ["a", "b"]),
        ("spark", "SELECT v:a.b::int, v:c[0], :d", ["d"]),
        ("trino", "SELECT json_object('a' : :b, 'k':c, 'k' :c), json_object(KEY 'c' VALUE :d)", ["b", "d"]),
    ],
)
def test_named_placeholders(engine: str, sql: str, expected: list[str]) -> None:
    query = StatementText.read(sql, LEXERS[engine])
    found = by_colon(query)
    assert [each.name for each in found] == expected
    assert all(sql[each.start : each.end] == f":{each.name}" for each in found)


def test_positional_placeholders() -> None:
    query = StatementText.read("SELECT ?, '?' FROM t MATCH_RECOGNIZE (PATTERN (A? (B?)) DEFINE A AS ? > 1)", TRINO)
    assert [each.name for each in by_question_mark(query)] == ["1", "2"]
    query = StatementText.read("SELECT $2, '$3', $1, $2, a$4", POSTGRESQL)
    assert [each.name for each in by_number(query)] == ["2", "1", "2"]


def test_placeholders_are_of_one_kind() -> None:
    query = StatementText.read("SELECT :a, $1", POSTGRESQL)
    with pytest.raises(QueryEngineError) as caught:
        of_one_kind(by_colon(query), by_number(query))
    assert caught.value.failure.reason is Reason.PARAMETER_MISMATCH
