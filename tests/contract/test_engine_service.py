"""Engines that are elsewhere, through the whole service: their name for a query, and that nobody leaves one running."""

from datetime import timedelta
from pathlib import Path

import pytest
from cases import CASES, GENERIC, SQLITE
from engine_case import EngineCase

from queryengine.v1 import query_service_pb2 as pb
from tests.named import INT64, STRING, NamedApi, definition, parameter, row
from tests.support import CANCELLED, COMPLETED, FAILED, ROWS, WAIT, Api, refused, served, until

ELSEWHERE = [case for case in CASES if case.running is not None and case is not GENERIC]
pytestmark = pytest.mark.asyncio(loop_scope="session")
ENDED_SECONDS = 40.0


@pytest.mark.parametrize("case", ELSEWHERE, ids=lambda case: case.name)
async def test_an_engine_behind_the_service(case: EngineCase, tmp_path: Path) -> None:
    options = case.options(tmp_path)
    engines = {"it": {"type": case.adapter.type_name, "workers": 1, "slots_per_worker": 2, "options": options}}
    async with served(tmp_path / "state", engines=engines, default_engine="it") as (_, tenant):
        api = Api(tenant.channel, "tenant", user="somebody")

        reply = await api.submit(case.numbers(3), wait_timeout=WAIT, result={"inline_format": ROWS})
        assert [row.values[0].int_value for row in reply.pages[0].rows.rows] == [0, 1, 2]
        assert reply.status.engine_type == case.adapter.type_name
        assert reply.status.engine_query_id

        await runs_named_queries(case, api)

        # A client that vanishes.
        gone = await api.submit(
            case.endless_rows,
            disconnect_policy="DISCONNECT_POLICY_CANCEL",
            disconnect_grace=timedelta(seconds=1),
        )
        reading = api.stream(gone.status.query_id)
        await reading.to("page")
        assert case.running()
        reading.leave()
        ended = await api.ended(gone.status.query_id, seconds=ENDED_SECONDS)
        assert ended.state == CANCELLED
        await until(lambda: not case.running(), seconds=ENDED_SECONDS)

        # A cancel is confirmed by engines that can, and by no others.
        running = (await api.submit(case.endless_rows)).status.query_id
        await api.has_rows(running)
        reply = await api.cancel(running, wait_timeout=WAIT)
        confirms = case.adapter.traits(options).cancel_confirmed
        assert reply.engine_cancel == (pb.ENGINE_CANCEL_STATE_CONFIRMED if confirms else pb.ENGINE_CANCEL_STATE_SENT)

        # A statement that takes too long.
        limits = {"execution_timeout": timedelta(seconds=1)}
        late = await api.submit(case.endless_start, limits=limits, wait_timeout=WAIT)
        assert (late.status.state, late.status.error.reason) == (FAILED, "QUERY_TIMEOUT")
        await until(lambda: not case.running(), seconds=ENDED_SECONDS)

        again = await api.submit(case.numbers(3), wait_timeout=WAIT)
        assert again.status.state == COMPLETED


async def test_a_named_query_on_an_engine_in_this_machine(tmp_path: Path) -> None:
    engines = {"it": {"type": SQLITE.adapter.type_name, "workers": 1, "options": SQLITE.options(tmp_path)}}
    async with served(tmp_path / "state", engines=engines, default_engine="it") as (_, tenant):
        await runs_named_queries(SQLITE, tenant)


async def runs_named_queries(case: EngineCase, api: Api) -> None:
    """Placeholders of the engine are known, and values arrive in their declared types."""
    named = NamedApi(api)
    declared = (parameter("label", STRING, default="none"), parameter("number", INT64))
    # A placeholder of ClickHouse has a type of its own.
    sql = case.named(["number", "label"]).replace("{number:String}", "{number:Int64}")
    refusal = await refused(named.create("n", definition(sql, declared[0])))
    assert (refusal.reason, refusal.metadata) == ("PARAMETER_MISMATCH", {"missing": "number"})
    await named.create("n", definition(sql, *declared))
    for values, label in (({"number": 5.0}, "none"), ({"number": 5, "label": "naïve"}, "naïve")):
        done = await named.run("n", values)
        assert done.status.state == COMPLETED, done.status.error
        assert [row(done)[0].int_value, row(done)[1].string_value] == [5, label]
    refusal = await refused(named.run("n", {"number": "5"}))
    assert refusal.metadata == {"parameter": "number", "declared": "INT 64", "given": "STRING"}
    if case.positional is not None:
        await named.create("places", definition(case.positional(2), *declared))
        done = await named.run("places", {"number": 7})
        assert done.status.state == COMPLETED, done.status.error
        assert [row(done)[0].string_value, row(done)[1].int_value] == ["none", 7]
