"""What a tenant or an engine sends of any length is stored and answered within bounds."""

import sqlite3
from contextlib import closing

import pytest

from queryengine.app.service import Service
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import value_pb2
from tests.support import FAILED, WAIT, Api, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_error_of_20_mb_is_stored_and_sent_as_4_kib(api: Api, service: Service) -> None:
    reply = await api.submit("SELECT error(repeat('x', 20_000_000))", wait_timeout=WAIT)
    assert reply.status.state == FAILED
    assert 4000 < len(reply.status.error.message) <= 4096
    with closing(sqlite3.connect(service.settings.state.record)) as database:
        row = database.execute("SELECT failure FROM queries WHERE query_id = ?", (reply.status.query_id,)).fetchone()
    assert len(row[0]) < 8192


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("ListQueries", pb.ListQueriesRequest(engine="x" * 256), "engine"),
        ("ListQueries", pb.ListQueriesRequest(labels={"x" * 64: ""}), "labels"),
        ("ListQueries", pb.ListQueriesRequest(labels={str(n): "" for n in range(33)}), "labels"),
        ("ListQueries", pb.ListQueriesRequest(page_token="x" * 900_000), "page_token"),
        ("Submit", pb.SubmitRequest(sql="SELECT 1", labels={"a": "x" * 256}), "labels"),
        ("Submit", pb.SubmitRequest(sql="SELECT 1", session_settings={"x" * 64: "a"}), "session_settings"),
        ("Submit", pb.SubmitRequest(sql="SELECT 1", catalog="x" * 256), "catalog"),
        ("Submit", pb.SubmitRequest(sql="SELECT 1", schema="x" * 256), "schema"),
        (
            "Submit",
            pb.SubmitRequest(
                sql="SELECT 1", parameters=[value_pb2.Parameter(name="x" * 256, value=value_pb2.Value(int_value=1))]
            ),
            "parameters",
        ),
        ("Cancel", pb.CancelRequest(query_id="1", reason="x" * 1001), "reason"),
    ],
)
async def test_a_text_that_is_too_long_is_refused_by_name(api: Api, method: str, request_: object, field: str) -> None:
    refusal = await refused(api.call(method, request_))
    assert (refusal.reason, refusal.field) == ("INVALID_FIELD", field)


async def test_an_unknown_engine_of_any_length_is_refused_within_bounds(api: Api) -> None:
    refusal = await refused(api.submit("SELECT 1", engine="x" * 900_000))
    assert refusal.reason == "UNKNOWN_ENGINE"
    assert len(refusal.message) < 4096
    assert len(refusal.metadata["engine"]) <= 256


async def test_states_may_be_named_any_number_of_times(api: Api) -> None:
    await api.submit("SELECT 1", wait_timeout=WAIT)
    assert len((await api.listed(states=[3] * 250_000)).queries) == 1
