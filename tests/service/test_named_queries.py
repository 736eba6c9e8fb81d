"""Named queries at a whole service: managing them, and running them by Submit."""

import asyncio
import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from queryengine.v1 import admin_service_pb2
from queryengine.v1 import named_query_service_pb2 as pb
from queryengine.v1.query_pb2 import Limits
from queryengine.v1.query_service_pb2 import SubmitMode
from tests.named import DATE, INT64, INTS, PRICE, STRING, NamedApi, definition, parameter, row
from tests.support import COMPLETED, WAIT, Api, new_id, refused, served

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENGINES = {"duckdb": {"type": "duckdb", "workers": 1}}
REPORT = definition(
    "SELECT $day::DATE AS day, $price AS price, $region AS region",
    parameter("day", DATE, description="the day of the report"),
    parameter("price", PRICE, default=Decimal("1.50")),
    parameter("region", STRING, default=None, nullable=True),
    description="what was sold",
    owner="growth",
    execution_timeout=Duration(seconds=60),
    row_limit=10,
    cache_max_age=Duration(seconds=5),
)


@pytest.fixture
def named(api: Api) -> NamedApi:
    return NamedApi(api)


async def test_a_named_query_is_created_read_listed_and_run(named: NamedApi) -> None:
    made = await named.create("sales.daily", REPORT)
    assert (made.name, made.version, made.latest_version, dict(made.tags)) == ("sales.daily", 1, 1, {})
    assert made.definition.sql == REPORT.sql
    assert [each.name for each in made.definition.parameters] == ["day", "price", "region"]
    assert made.definition.cache_max_age.seconds == 5
    assert await named.get("sales.daily") == made
    reply = await named.call("ListNamedQueries", pb.ListNamedQueriesRequest())
    [listed] = reply.named_queries
    assert (listed.definition.sql, listed.definition.owner) == ("", "growth")
    done = await named.run("sales.daily", {"day": dt.date(2026, 11, 28)})
    assert done.status.state == COMPLETED
    assert (done.status.named_query, done.status.sql_preview) == ("sales.daily@1", "sales.daily@1")
    day, price, region = row(done)
    assert day.date_days == (dt.date(2026, 11, 28) - dt.date(1970, 1, 1)).days
    assert (price.decimal_value, region.WhichOneof("kind")) == ("1.50", "null_value")
    details = await named.api.details(done.status.query_id)
    assert (details.sql, details.named_query) == (REPORT.sql, "sales.daily")
    assert (details.limits.row_limit, details.limits.execution_timeout.seconds) == (10, 60)
    assert [each.name for each in details.parameters] == ["day", "price", "region"]


async def test_a_reference_is_a_version_a_tag_or_the_newest(named: NamedApi) -> None:
    await named.create("n", "SELECT 1")
    for number in (2, 3):
        await named.update("n", f"SELECT {number}", number - 1)
    await named.tag("n", "prod", 2)

    async def answer(reference: str) -> tuple[int, str]:
        done = await named.run(reference)
        return row(done)[0].int_value, done.status.named_query

    for reference, number in (("n", 3), ("n@latest", 3), ("n@1", 1), ("n@prod", 2)):
        assert await answer(reference) == (number, f"n@{number}")
    await named.tag("n", "prod", 1)
    assert await answer("n@prod") == (1, "n@1")
    await named.call("UntagNamedQuery", pb.UntagNamedQueryRequest(name="n", tag="prod"))
    for reference in ("n@prod", "n@4", "none", "none@1"):
        assert (await refused(named.run(reference))).reason == "NAMED_QUERY_NOT_FOUND", reference
        assert (await refused(named.get(reference))).reason == "NAMED_QUERY_NOT_FOUND", reference


async def test_a_repeated_submit_is_the_same_query_when_the_tag_has_moved_or_the_name_is_gone(named: NamedApi) -> None:
    await named.create("n", "SELECT 1")
    await named.update("n", "SELECT 2", 1)
    await named.tag("n", "prod", 1)
    query_id = new_id()
    first = await named.run("n@prod", query_id=query_id)
    await named.tag("n", "prod", 2)
    again = await named.run("n@prod", query_id=query_id)
    assert (again.existing, again.status.named_query, row(again)) == (True, "n@1", row(first))
    await named.delete("n")
    again = await named.run("n@prod", query_id=query_id)
    assert (again.existing, again.status.named_query) == (True, "n@1")
    # What it stands for is no other name of it.
    for reference in ("n@1", "n@2", "n"):
        refusal = await refused(named.run(reference, query_id=query_id))
        assert refusal.reason in ("QUERY_ID_REUSED", "NAMED_QUERY_NOT_FOUND")
    assert (await refused(named.api.submit("SELECT 1", query_id=query_id))).reason == "QUERY_ID_REUSED"


async def test_concurrent_submits_of_one_id_run_once(named: NamedApi) -> None:
    await named.create("n", "SELECT 1")
    query_id = new_id()
    done = await asyncio.gather(*(named.run("n", query_id=query_id) for _ in range(10)))
    assert sorted(reply.existing for reply in done) == [False, *[True] * 9]


@pytest.mark.parametrize(
    ("values", "metadata"),
    [
        ({}, {"missing": "day"}),
        ({"day": dt.date(2026, 1, 1), "dya": 1, "z": 2}, {"unexpected": "dya,z"}),
        ({"price": 1}, {"missing": "day"}),
        ({"day": 5}, {"parameter": "day", "declared": "DATE", "given": "INT 64"}),
        ({"day": "tomorrow"}, {"parameter": "day", "declared": "DATE", "given": "STRING"}),
        ({"day": "2026-02-30"}, {"parameter": "day", "declared": "DATE", "given": "STRING"}),
        ({"day": None}, {"parameter": "day", "declared": "DATE", "given": "NULL"}),
        (
            {"day": "2026-01-01", "price": Decimal("1.234")},
            {"parameter": "price", "declared": "DECIMAL(10, 2)", "given": "DECIMAL(4, 3)"},
        ),
        (
            {"day": "2026-01-01", "price": 10**9},
            {"parameter": "price", "declared": "DECIMAL(10, 2)", "given": "INT 64"},
        ),
        (
            {"day": "2026-01-01", "region": [1]},
            {"parameter": "region", "declared": "STRING", "given": "LIST(INT 64)"},
        ),
    ],
)
async def test_values_that_do_not_fit_are_refused_before_the_engine(
    named: NamedApi, values: dict[str, Any], metadata: dict[str, str]
) -> None:
    await named.create("n", REPORT)
    refusal = await refused(named.run("n", values))
    assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "PARAMETER_MISMATCH")
    assert refusal.metadata == metadata
    said = [text for key, text in metadata.items() if key in ("parameter", "declared", "missing")]
    assert all(text in refusal.message for text in said)
    assert not (await named.api.listed()).queries


async def test_values_are_converted_where_they_are_exact(named: NamedApi) -> None:
    await named.create("n", REPORT)
    for day in ("2026-01-01", dt.date(2026, 1, 1)):
        for price in (7, 7.0, Decimal(7), "7"):
            done = await named.run("n", {"day": day, "price": price, "region": "EU"})
            found = row(done)
            assert (found[0].date_days, found[1].decimal_value, found[2].string_value) == (20454, "7.00", "EU")


async def test_values_may_come_in_the_order_of_their_declaration(named: NamedApi) -> None:
    await named.create("n", definition("SELECT ? - ?", parameter("a", INT64), parameter("b", INT64, default=1)))
    assert row(await named.run("n", {"b": 2, "a": 9}))[0].int_value == 7
    for values, expected in (([9, 3], 6), ([9], 8)):
        assert row(await named.run("n", values))[0].int_value == expected
    assert (await refused(named.run("n", [1, 2, 3]))).metadata == {"unexpected": "3"}


async def test_a_list_is_a_parameter(named: NamedApi) -> None:
    await named.create("n", definition("SELECT list_sum($ids)::BIGINT", parameter("ids", INTS)))
    assert row(await named.run("n", {"ids": [1, 2, 3]}))[0].int_value == 6
    refusal = await refused(named.run("n", {"ids": ["x"]}))
    assert refusal.metadata["parameter"] == "ids"


async def test_a_long_list_is_checked_off_the_loop(named: NamedApi) -> None:
    await named.create("n", definition("SELECT list_sum($ids)::BIGINT", parameter("ids", INTS)))
    numbers = list(range(50_000))
    assert row(await named.run("n", {"ids": numbers}))[0].int_value == sum(numbers)
    refusal = await refused(named.run("n", {"ids": [*map(float, numbers), 0.5]}))
    assert (refusal.reason, refusal.metadata["parameter"]) == ("PARAMETER_MISMATCH", "ids")
    refusal = await refused(named.run("n", {"idz": numbers}))
    assert refusal.metadata == {"missing": "ids", "unexpected": "idz"}
    large = definition("SELECT $a", parameter("a", STRING, default="x" * 70_000))
    assert (await refused(named.create("m", large))).metadata == {"field": "definition.parameters"}


@pytest.mark.parametrize(
    ("made", "reason", "words"),
    [
        (definition("SELEC 1"), ("SYNTAX_ERROR", "STATEMENT_NOT_ALLOWED"), ""),
        (definition("SELECT 1; SELECT 2"), "NOT_ONE_STATEMENT", ""),
        (definition(" "), "NOT_ONE_STATEMENT", "definition.sql"),
        (definition("DROP TABLE t"), "STATEMENT_NOT_ALLOWED", ""),
        (definition("SELECT $a, $b", parameter("a", INT64)), "PARAMETER_MISMATCH", "missing: b"),
        (definition("SELECT 1", parameter("a", INT64)), "PARAMETER_MISMATCH", "unexpected: a"),
        (definition("SELECT ?", parameter("a", INT64), parameter("b", INT64)), "PARAMETER_MISMATCH", "unexpected: 2"),
        (definition("SELECT 1", engine="none"), "UNKNOWN_ENGINE", "none"),
        (definition("SELECT $a", parameter("a", DATE, default="soon")), "INVALID_FIELD", "default"),
        (definition("SELECT $a", parameter("a", DATE, default=None)), "INVALID_FIELD", "nullable"),
        (definition("SELECT $a", pb.NamedQueryParameter(name="a")), "INVALID_FIELD", "UNSPECIFIED"),
        (definition("SELECT $a", parameter("1a", DATE)), "INVALID_FIELD", "parameters[0].name"),
        (definition("SELECT $a", parameter("a", DATE), parameter("a", DATE)), "INVALID_FIELD", "twice"),
        (definition("SELECT 1", row_limit=-1), "INVALID_FIELD", "row_limit"),
        (definition("SELECT 1", execution_timeout=Duration()), "INVALID_FIELD", "execution_timeout"),
        (definition("SELECT 1", roles=[0]), "INVALID_FIELD", "roles"),
        (definition("SELECT 1", description="x" * 4_001), "INVALID_FIELD", "description"),
    ],
)
async def test_a_definition_that_cannot_run_is_refused_at_once(
    named: NamedApi, made: pb.NamedQueryDefinition, reason: str | tuple[str, ...], words: str
) -> None:
    refusal = await refused(named.create("n", made))
    assert refusal.reason in ((reason,) if isinstance(reason, str) else reason)
    assert words in refusal.message
    assert (await refused(named.get("n"))).reason == "NAMED_QUERY_NOT_FOUND"
    first = await named.create("n", "SELECT 1")
    assert (await refused(named.update("n", made, 1))).reason == refusal.reason
    assert await named.get("n") == first


@pytest.mark.parametrize("name", ["", "1a", "a b", "é", "a@b", "x" * 101])
async def test_names_have_one_form(named: NamedApi, name: str) -> None:
    refusal = await refused(named.create(name, "SELECT 1"))
    assert (refusal.reason, refusal.metadata) == ("INVALID_FIELD", {"field": "name"})


@pytest.mark.parametrize("tag", ["", "latest", "7", "a b"])
async def test_tags_have_one_form(named: NamedApi, tag: str) -> None:
    await named.create("n", "SELECT 1")
    refusal = await refused(named.tag("n", tag, 1))
    assert (refusal.reason, refusal.metadata) == ("INVALID_FIELD", {"field": "tag"})


async def test_of_two_writers_one_is_asked_to_look_again(named: NamedApi) -> None:
    await named.create("n", "SELECT 1")
    second = await named.update("n", "SELECT 2", 1)
    refusal = await refused(named.update("n", "SELECT 3", 1))
    assert (refusal.code.name, refusal.reason) == ("ABORTED", "NAMED_QUERY_CHANGED")
    assert refusal.metadata == {"version": "2"}
    assert await named.update("n", "SELECT 2", 1) == second
    assert (await refused(named.create("n", "SELECT 9"))).reason == "NAMED_QUERY_EXISTS"
    assert (await refused(named.update("n", "SELECT 3", 0))).metadata == {"field": "expected_version"}
    assert (await refused(named.update("n", "SELECT 3", 2**63 - 1))).reason == "NAMED_QUERY_CHANGED"


async def test_what_the_definition_decides_is_not_for_the_submission(named: NamedApi) -> None:
    await named.create("n", definition("SELECT 1", engine="duckdb", schema="main"))
    assert (await named.run("n", engine="duckdb", schema="main")).status.state == COMPLETED
    for field, value in {
        "engine": "scripted",
        "catalog": "memory",
        "schema": "other",
        "session_settings": {"TimeZone": "UTC"},
    }.items():
        refusal = await refused(named.run("n", **{field: value}))
        assert (refusal.reason, refusal.metadata) == ("INVALID_FIELD", {"field": field})
    for mode in (SubmitMode.SUBMIT_MODE_RUN, SubmitMode.SUBMIT_MODE_EXPLAIN, SubmitMode.SUBMIT_MODE_VALIDATE):
        refusal = await refused(named.run("n", routing={"dialect": "trino"}, mode=mode))
        assert (refusal.reason, refusal.metadata) == ("INVALID_FIELD", {"field": "dialect"})
    for sql, reference in (("SELECT 1", "n"), ("", "n@"), ("", "@prod"), ("", "n@1.5x y")):
        refusal = await refused(named.api.submit(sql, named_query=reference))
        assert (refusal.reason, refusal.metadata) == ("INVALID_FIELD", {"field": "named_query"})


async def test_of_two_limits_the_smaller_one_holds(named: NamedApi) -> None:
    sql = "SELECT * FROM range(100)"
    await named.create("n", definition(sql, row_limit=10, execution_timeout=Duration(seconds=60)))
    for asked, rows, seconds in (
        (Limits(), 10, 60),
        (Limits(row_limit=5, execution_timeout=Duration(seconds=9)), 5, 9),
        (Limits(row_limit=50, execution_timeout=Duration(seconds=900)), 10, 60),
    ):
        done = await named.run("n", limits=asked)
        limits = (await named.api.details(done.status.query_id)).limits
        assert (done.status.stats.rows, limits.row_limit, limits.execution_timeout.seconds) == (rows, rows, seconds)


async def test_lists_come_in_pages(named: NamedApi) -> None:
    for number in range(5):
        await named.create(f"q{number}", "SELECT 1")
    for number in range(1, 5):
        await named.update("q0", f"SELECT {number}", number)
    names, token = [], ""
    while True:
        request = pb.ListNamedQueriesRequest(page_size=2, page_token=token, name_prefix="q")
        reply = await named.call("ListNamedQueries", request)
        names += [each.name for each in reply.named_queries]
        token = reply.next_page_token
        if not token:
            break
    assert names == ["q0", "q1", "q2", "q3", "q4"]
    versions, token = [], ""
    while True:
        asked = pb.ListNamedQueryVersionsRequest(name="q0", page_size=2, page_token=token)
        found = await named.call("ListNamedQueryVersions", asked)
        versions += [each.version for each in found.versions]
        token = found.next_page_token
        if not token:
            break
    assert versions == [5, 4, 3, 2, 1]


async def test_deleting_keeps_what_queries_refer_to(named: NamedApi) -> None:
    await named.create("n", "SELECT 1")
    await named.update("n", "SELECT 2", 1)
    done = await named.run("n@2")
    assert await named.delete("n") == 1
    assert await named.delete("n") == 1
    assert (await refused(named.run("n@2"))).reason == "NAMED_QUERY_NOT_FOUND"
    details = await named.api.details(done.status.query_id)
    assert (details.sql, details.named_query) == ("SELECT 2", "n@2")
    kept = await named.get("n@2")
    assert kept.definition.sql == "SELECT 2"
    assert kept.HasField("delete_time")
    for reference in ("n", "n@1", "n@latest"):
        assert (await refused(named.get(reference))).reason == "NAMED_QUERY_NOT_FOUND"
    assert (await named.create("n", "SELECT 3")).version == 3
    assert row(await named.run("n"))[0].int_value == 3


async def test_queries_are_listed_by_the_named_query_that_they_ran(named: NamedApi) -> None:
    await named.create("n", "SELECT 1")
    await named.create("n2", "SELECT 1")
    await named.update("n", "SELECT 2", 1)
    ran = [(await named.run(each)).status for each in ("n@1", "n@2", "n@2", "n2")]
    await named.api.submit("SELECT 1", wait_timeout=WAIT)

    async def listed(reference: str) -> set[str]:
        return {each.query_id for each in (await named.api.listed(named_query=reference)).queries}

    ids = [status.query_id for status in ran]
    assert await listed("n") == set(ids[:3])
    assert await listed("n@2") == set(ids[1:3])
    assert await listed("n2") == {ids[3]}
    assert await listed("none") == set()
    assert (await refused(named.api.listed(named_query="n@prod"))).metadata == {"field": "named_query"}


async def test_another_tenant_has_its_own(named: NamedApi) -> None:
    await named.create("n", "SELECT 1")
    other = NamedApi(Api(named.api.channel, f"tenant-{new_id()}"))
    for call in (other.get("n"), other.run("n"), other.update("n", "SELECT 2", 1), other.delete("n")):
        assert (await refused(call)).reason == "NAMED_QUERY_NOT_FOUND"
    await other.create("n", "SELECT 2")
    assert row(await named.run("n"))[0].int_value == 1
    assert row(await other.run("n"))[0].int_value == 2


async def test_named_queries_outlive_the_memory_of_them(named: NamedApi) -> None:
    roles = [admin_service_pb2.ROLE_ADMIN]
    await named.create("n", definition("SELECT 1", roles=roles))
    refusal = await refused(named.run("n"))
    assert (refusal.reason, refusal.metadata) == ("ROLE_MISSING", {"role": "admin"})
    await named.update("n", "SELECT 2", 1)
    # The roles of the newest version hold for all.
    assert row(await named.run("n@1"))[0].int_value == 1


async def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    query_id = new_id()
    async with served(tmp_path, engines=ENGINES) as (_, api):
        named = NamedApi(api)
        await named.create("n", definition("SELECT $a + 1", parameter("a", INT64, default=1)))
        await named.tag("n", "prod", 1)
        await named.run("n@prod", query_id=query_id)
        await named.update("n", "SELECT 9", 1)
        await named.tag("n", "prod", 2)
    async with served(tmp_path, engines=ENGINES) as (_, api):
        named = NamedApi(api)
        # The tag has moved, and nothing of the first run is in memory.
        again = await named.run("n@prod", query_id=query_id)
        assert (again.existing, again.status.named_query, row(again)[0].int_value) == (True, "n@1", 2)
        assert row(await named.run("n@prod"))[0].int_value == 9
        found = await named.get("n@1")
        assert (found.latest_version, dict(found.tags)) == (2, {"prod": 2})
        assert found.definition.parameters[0].default_value.int_value == 1


async def test_rules_for_the_caller_hold_for_the_text(tmp_path: Path) -> None:
    """Those that hold now, not those of the day when it was created."""
    deny = {"statements": {"engines": {"duckdb": {"functions": {"deny": ["reverse"]}}}}}
    async with served(tmp_path, engines=ENGINES) as (_, api):
        await NamedApi(api).create("n", "SELECT reverse('abc')")
        assert (await NamedApi(api).run("n")).status.state == COMPLETED
    async with served(tmp_path, engines=ENGINES, **deny) as (_, api):
        refusal = await refused(NamedApi(api).run("n"))
        assert (refusal.reason, refusal.metadata["rule"]) == ("STATEMENT_NOT_ALLOWED", "functions.deny")
        assert (await refused(NamedApi(api).create("m", "SELECT reverse('x')"))).reason == "STATEMENT_NOT_ALLOWED"


async def test_a_text_is_checked_for_the_engine_that_a_rule_sends_it_to(tmp_path: Path) -> None:
    engines = {**ENGINES, "scripted": {"type": "scripted", "workers": 1}}
    routing = {"rules": {"scripts": {"when": {"named": ["script.*"]}, "to": "scripted"}}}
    async with served(tmp_path, engines=engines, default_engine="duckdb", routing=routing) as (_, api):
        named = NamedApi(api)
        await named.create("script.rows", "rows 3")
        done = await named.run("script.rows")
        assert (done.status.engine, done.status.routing_reason) == ("scripted", "rule scripts: named query script.rows")
        assert (await refused(named.create("other.rows", "rows 3"))).reason == "SYNTAX_ERROR"
