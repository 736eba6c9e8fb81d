"""Names of types, settings and errors of ClickHouse, as text alone."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace

import pytest

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Position, QueryEngineError, Reason
from queryengine.engines.clickhouse.check import prepared
from queryengine.engines.clickhouse.errors import Sent, code_and_words, failure, translated
from queryengine.engines.clickhouse.parameters import encode
from queryengine.engines.clickhouse.settings import base_settings
from queryengine.engines.clickhouse.times import Calendar
from queryengine.engines.clickhouse.types import parse
from queryengine.engines.kit.parameters import bound

UTC = Calendar("UTC", wide=False)


def test_a_name_of_a_type_is_a_tree() -> None:
    kind = parse("Tuple(`a b` Enum8('it\\'s' = -2, 'x,)' = 1), t DateTime64(3, 'UTC'), m Map(String, Array(Int8)))")
    enum, moment, mapping = kind.types
    assert enum.label == "a b"
    assert [(each.name, each.label) for each in enum.arguments] == [("it's", "-2"), ("x,)", "1")]
    assert (moment.label, moment.arguments[0].name, moment.arguments[1].name) == ("t", "3", "UTC")
    assert [each.name for each in mapping.types] == ["String", "Array"]
    assert parse("JSON(max_dynamic_paths=8, a.b UInt32)").name == "JSON"


@pytest.mark.parametrize("text", ["", "(", "Array(", "Array(Int8))", "Array(,)", "'"])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_a_user_that_may_not_set_anything_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="readonly = 2"):
        base_settings({}, {"readonly": SimpleNamespace(value="1", readonly=1)})


def test_a_user_that_is_readonly_stays_so_and_an_older_server_gets_what_it_knows() -> None:
    known = {
        "readonly": SimpleNamespace(value="2", readonly=0),
        "read_overflow_mode": SimpleNamespace(value="x", readonly=0),
    }
    assert base_settings({"max_threads": "2"}, known) == {"max_threads": "2", "read_overflow_mode": "throw"}


@pytest.mark.parametrize(
    ("sql", "found", "place"),
    [
        ("SELECT 1,\n FROM FROM x", "FROM x", (2, 7)),
        ("\n\t SELECT 'é\U0001f600',\r\n\t{a:String} nope", "nope", (3, 13)),
        ("SELECT 'é' {a:String} nope; -- more", "nope", (1, 23)),
        ("SELECT {a:String}\n  + -- more", ")", (2, 4)),
    ],
)
def test_the_place_is_the_one_in_the_users_text(sql: str, found: str, place: tuple[int, int]) -> None:
    parameters = (BoundParameter("a", "x"),) if "{" in sql else ()
    text, _ = prepared(sql, parameters, Calendar("UTC", True))
    sent = Sent(text.within("DESCRIBE (\n", "\n)"), sql)
    byte = len(sent.text.sql[: sent.text.sql.rindex(found)].encode()) + 1
    code, words = code_and_words(
        f"Code: 62. DB::Exception: Syntax error: failed at position {byte} ({found}) (line 3, col 7): {found}\n). "
        "(SYNTAX_ERROR) (version 26.9.2.1 (official build))"
    )
    failed = failure(code, words, sent=sent).failure
    assert failed.reason is Reason.SYNTAX_ERROR
    assert failed.position == Position(*place)
    if found != ")":
        assert failed.message == f"Syntax error: failed ({found}): {found}. (SYNTAX_ERROR)"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (62, Reason.SYNTAX_ERROR),
        (47, Reason.STATEMENT_REJECTED),
        (60, Reason.STATEMENT_REJECTED),
        (159, Reason.QUERY_TIMEOUT),
        (164, Reason.STATEMENT_NOT_ALLOWED),
        (241, Reason.OUT_OF_MEMORY),
        (202, Reason.ENGINE_UNAVAILABLE),
        (394, Reason.QUERY_CANCELLED),
        (516, Reason.ENGINE_UNAVAILABLE),
        (49_999, Reason.ENGINE_ERROR),
        (None, Reason.ENGINE_ERROR),
    ],
)
def test_a_code_is_a_reason(code: int | None, reason: Reason) -> None:
    assert failure(code, "words").failure.reason is reason


def test_a_broken_connection_is_an_engine_out_of_reach() -> None:
    assert translated(ConnectionResetError("reset"), "http://h:1").failure.reason is Reason.ENGINE_UNAVAILABLE


def sent_as(parameter: BoundParameter, kind: str, calendar: Calendar) -> object:
    return bound([parameter], lambda each: encode(each, kind, calendar))[parameter.name]


def test_a_value_that_would_lose_digits_is_refused() -> None:
    with pytest.raises(QueryEngineError) as caught:
        sent_as(BoundParameter("price", Decimal("1.105")), "Nullable(Decimal(9, 2))", UTC)
    assert caught.value.failure.metadata == {"parameter": "price"}
    assert str(sent_as(BoundParameter("price", Decimal("1.1")), "Decimal(9, 2)", UTC)) == "1.10"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Date32", dt.date(1899, 12, 31)),
        ("Date32", dt.date(2300, 1, 1)),
        ("DateTime64(3)", dt.datetime(1899, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
        ("DateTime64(3)", dt.datetime(2300, 1, 1, tzinfo=dt.UTC)),
    ],
)
def test_an_older_server_holds_fewer_years(kind: str, value: dt.date) -> None:
    parameter = BoundParameter("day", value)
    with pytest.raises(QueryEngineError, match="1900-01-01 to 2299-12-31") as caught:
        sent_as(parameter, kind, UTC)
    assert caught.value.failure.reason is Reason.PARAMETER_MISMATCH
    assert str(sent_as(parameter, kind, Calendar("UTC", wide=True)))
