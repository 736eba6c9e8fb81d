"""GetStatus with the full view: what was submitted and what runs for it, at every time of a query's life."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from queryengine.v1 import query_pb2
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1.value_pb2 import (
    TYPE_KIND_BYTES,
    TYPE_KIND_DATE,
    TYPE_KIND_INT,
    TYPE_KIND_STRING,
    DataType,
    Parameter,
    Value,
)
from tests.support import COMPLETED, QUEUED, RUNNING, WAIT, Api, Gate, new_id, refused, served

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = "SELECT $who AS who, $day AS day, $n AS n -- " + "a comment that is long ü " * 200
SECRET = "s3cret-value"
PARAMETERS = (
    Parameter(name="who", value=Value(string_value=SECRET)),
    Parameter(name="day", type=DataType(kind=TYPE_KIND_DATE), value=Value(date_days=1)),
    Parameter(name="n", value=Value(int_value=7)),
)
KINDS = [("who", TYPE_KIND_STRING), ("day", TYPE_KIND_DATE), ("n", TYPE_KIND_INT)]


def check(details: query_pb2.QueryDetails) -> None:
    assert details.sql == details.executed_sql == LONG
    assert [(info.name, info.type.kind) for info in details.parameters] == KINDS
    assert details.parameters_left_out == 0
    assert details.limits.queue_timeout.ToTimedelta() == timedelta(minutes=10)
    assert details.limits.execution_timeout.ToTimedelta() == timedelta(seconds=90)
    assert (details.limits.row_limit, details.limits.byte_limit) == (5, 0)
    assert details.limits.on_limit == query_pb2.LIMIT_ACTION_FAIL
    assert SECRET.encode() not in details.SerializeToString()


async def submit(api: Api) -> str:
    limits = {"row_limit": 5, "execution_timeout": timedelta(seconds=90), "on_limit": query_pb2.LIMIT_ACTION_FAIL}
    status = (await api.submit(LONG, parameters=PARAMETERS, limits=limits, wait_timeout=WAIT)).status
    assert status.state == COMPLETED
    return str(status.query_id)


async def test_details_are_known_when_the_query_has_ended_and_after_a_restart(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, api):
        query_id = await submit(api)
        check(await api.details(query_id))
    async with served(tmp_path) as (_, api):
        check(await api.details(query_id))
        assert (await api.status(query_id)).sql_preview.startswith("SELECT $who AS who")


async def test_details_are_known_while_the_query_waits(api: Api, no_free_slot: Callable[[], None]) -> None:
    # Parameters so large are not in memory while the query waits.
    parameters = [Parameter(value=Value(bytes_value=b"x" * (32 << 10)))]
    text = "rows 1; " + " " * 2_000
    waiting = (await api.script(text, parameters=parameters)).status
    assert waiting.state == QUEUED
    details = await api.details(waiting.query_id)
    assert details.sql == details.executed_sql == text
    assert [info.type.kind for info in details.parameters] == [TYPE_KIND_BYTES]
    no_free_slot()
    await api.ended(waiting.query_id)


async def test_details_are_known_while_the_query_runs(api: Api, gate: Gate) -> None:
    text = f"{gate.script}; rows 1; " + " " * 2_000
    query_id = (await api.script(text)).status.query_id
    await api.reached(query_id, RUNNING)
    details = await api.details(query_id)
    assert details.sql == details.executed_sql == text
    assert details.limits.execution_timeout.ToTimedelta() == timedelta(minutes=30)
    gate.open()
    await api.ended(query_id)


async def test_they_come_when_they_are_asked_for(api: Api) -> None:
    query_id = await submit(api)
    for view in (pb.QUERY_VIEW_UNSPECIFIED, pb.QUERY_VIEW_BASIC):
        reply = await api.call("GetStatus", pb.GetStatusRequest(query_id=query_id, view=view))
        assert not reply.HasField("details")
    check(await api.details(query_id, after_version=1, wait_timeout=WAIT))
    # One without parameters or limits has none of the former, and the latter from the service.
    plain = (await api.submit("SELECT 1", wait_timeout=WAIT)).status.query_id
    details = await api.details(plain)
    assert (details.sql, list(details.parameters)) == ("SELECT 1", [])
    assert details.limits.on_limit == query_pb2.LIMIT_ACTION_TRUNCATE


async def test_a_foreign_query_has_none(api: Api, other: Api) -> None:
    query_id = await submit(other)
    answers = [await refused(api.details(each)) for each in (query_id, new_id(), "x")]
    assert len({(answer.code, answer.message, answer.trailers) for answer in answers}) == 1
    assert answers[0].reason == "QUERY_NOT_FOUND"


async def test_the_longest_sql_fits(api: Api) -> None:
    sql = "SELECT 1 --" + "ü" * ((128 << 10) // 2 - 6)
    assert len(sql.encode()) <= 128 << 10
    query_id = (await api.submit(sql, wait_timeout=WAIT)).status.query_id
    assert (await api.details(query_id)).sql == sql
