"""Every reply fits in 3.5 MiB, whatever tenants and engines put into it; clients accept 4 MiB unless told otherwise.

`everything` asks a server for every kind of reply, filled to its largest, over a channel that takes 4 MiB. The messages
of the contract are then walked by their descriptors: a text or a list that no reply has filled fails the test, and so
does a new field that nobody has given a bound.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest.mock import AsyncMock

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from queryengine.accepting.cancelling import QUERIES_MAX
from queryengine.accepting.explaining import Explaining, Explanation
from queryengine.accepting.usage import UsageReport
from queryengine.app.service import Service
from queryengine.client import AsyncClient
from queryengine.domain.analysis import KINDS, Analysis
from queryengine.domain.consumption import Consumption
from queryengine.domain.errors import Failure, Position, Reason
from queryengine.domain.lifecycle import QueryState, ResultState
from queryengine.domain.named_queries import VERSIONS_MAX
from queryengine.domain.plan import Plan
from queryengine.domain.query import Query
from queryengine.domain.refreshed import Refreshed, ViewChange
from queryengine.domain.routing import (
    FACT_CHARACTERS_MAX,
    FACTS_MAX,
    REASON_CHARACTERS_MAX,
    Estimate,
    PassedOver,
    RoutingDecision,
)
from queryengine.domain.views import ViewChangeKind
from queryengine.edges.grpc.fitting import REPLY_BYTES_MAX
from queryengine.engines.base import Progress
from queryengine.executing.engine_plans import EnginePlan
from queryengine.live.query import LiveQuery, QueuePlace
from queryengine.policy.identity.presented import NAME_CHARACTERS_MAX
from queryengine.reading.fetching import STATUSES_BYTES
from queryengine.reading.page_listing import PAGES_MAX, ListCursor, Listed, ListedPage, PageListing
from queryengine.results.segment import ResultTotals
from queryengine.settings.policies import NAME_CHARACTERS_MAX as TABLE_CHARACTERS_MAX
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import result_pb2
from queryengine.v1.value_pb2 import (
    TYPE_KIND_LIST,
    TYPE_KIND_TIMESTAMP,
    Column,
    DataType,
    ListValue,
    Parameter,
    Value,
)
from queryengine.workers.executing import PLAN_CHARACTERS_MAX
from tests.support import COMPLETED, FAILED, ROWS, SERVICE, WAIT, Api, Reading, new_id, refused, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

WIDE = "𝄞"
"""Four bytes of UTF-8."""
HUGE = WIDE * 1_000_000
LABELS = {f"{number:02}".ljust(63, WIDE): WIDE * 255 for number in range(32)}
MOST = (1 << 63) - 1

OPEN_ENDED = {
    "queryengine.v1.Row": "rows are cut to the room that a message has",
    "queryengine.v1.Column": "columns are sent in chunks",
    "google.protobuf.Timestamp": "numbers",
    "google.protobuf.Duration": "numbers",
}
"""Messages whose insides need no bound of their own."""


def columns(count: int, name_bytes: int) -> str:
    """A script that names so many columns, and has 100 rows."""
    names = [f"c{number}_".ljust(name_bytes, "x") for number in range(count)]
    return f"columns {', '.join(f'{name}:string' for name in names)}; rows 100 size 100"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def wide(tmp_path_factory: pytest.TempPathFactory, shared_folders: set[str]) -> AsyncIterator[Service]:
    """A service that takes statements of 24 MiB, so that a script can name the columns of a large schema."""
    folder = tmp_path_factory.mktemp("wide")
    async with serving(
        folder,
        limits={"sql_bytes": 24 << 20, "request_bytes": 25 << 20},
        results={"inline_bytes": 3 << 20},
        streams={"rotate_seconds": 1.5},
    ) as service:
        shared_folders.add(str(folder))
        yield service
    shared_folders.discard(str(folder))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def channel_of_wide(wide: Service) -> AsyncIterator[grpc.aio.Channel]:
    options = (("grpc.max_receive_message_length", 4 << 20), ("grpc.max_send_message_length", 25 << 20))
    async with grpc.aio.insecure_channel(wide.address, options) as channel:
        yield channel


@pytest.fixture
def wide_api(channel_of_wide: grpc.aio.Channel) -> Api:
    return Api(channel_of_wide, f"tenant-{new_id()}")


POLICIES = (f"{WIDE * TABLE_CHARACTERS_MAX}:{'r' * 63}",) * 1_000
"""More than are shown of a query."""


NAME = "n" * 100
"""Of a named query."""


def largest_plan(template: Query) -> Plan:
    """One of a named query, for which a routing rule passed over more engines than a service has."""
    passed = (PassedOver("e" * 63, WIDE * FACT_CHARACTERS_MAX),) * 64
    facts = (WIDE * FACT_CHARACTERS_MAX,) * FACTS_MAX
    return replace(
        template.plan,
        engine="e" * 63,
        routing_reason=WIDE * REASON_CHARACTERS_MAX,
        routing=RoutingDecision(rule="r" * 63, facts=facts, passed_over=passed, translated_from="clickhouse"),
        named_query=f"{NAME}@{VERSIONS_MAX}",
    )


def largest_explanation(template: Query) -> Explanation:
    return Explanation(
        submission=template.submission,
        plan=replace(largest_plan(template), executed_sql=HUGE[: 128 << 10], row_policies=POLICIES),
        analysis=Analysis(
            kinds=frozenset(KINDS.values()), tables=frozenset((f"{n:04}{WIDE * 250}",) for n in range(2_000))
        ),
        shows_text=True,
        query_hash="h" * 64,
        estimate=Estimate(seconds=1e9, rows=MOST, bytes=MOST),
        engine_plan=EnginePlan(WIDE * PLAN_CHARACTERS_MAX, WIDE * 4_096),
    )


def largest_usage() -> list[Consumption]:
    """More than one reply holds."""
    counts = ("queries", "failed", "cancelled", "cache_hits", "rows", "bytes_stored", "bytes_scanned")
    each = Consumption(
        tenant="t" * NAME_CHARACTERS_MAX,
        subject="s" * NAME_CHARACTERS_MAX,
        engine="e" * 63,
        hour=500_000,
        engine_us=MOST >> 4,
        bytes_scanned_hidden=0,
        **dict.fromkeys(counts, MOST),
    )
    return [each] * 10_001


def largest(service: Service, template: Query, state: QueryState) -> LiveQuery:
    """A query in this state of which every text is as large as a tenant or an engine can make it."""
    progress = Progress(0.5, MOST, MOST, MOST, MOST, HUGE, HUGE, "http://" + "x" * 2041)
    failure = Failure(Reason.ENGINE_ERROR, HUGE, {"name": HUGE}, HUGE, Position(MOST >> 32, MOST >> 32))
    ends = state in (QueryState.FAILED, QueryState.COMPLETED)
    # Its rows are read here, which nobody may whose policies are others.
    policies = () if state is QueryState.RUNNING else POLICIES
    plan = replace(largest_plan(template), row_policies=policies, policy_version="v" * 64 * bool(policies))
    query = template.but(
        query_id=new_id(),
        submission=replace(template.submission, sql=HUGE[:1_000], labels=LABELS, named_query=f"{NAME}@{'t' * 50}"),
        plan=plan,
        state=state,
        result_state=ResultState.READY if state is QueryState.COMPLETED else ResultState.NONE,
        attempt=0 if state is QueryState.QUEUED else 1,
        owner="owner",
        failure=failure if state is QueryState.FAILED else None,
        rows=MOST,
        pages=MOST,
        bytes=MOST,
        rows_scanned=MOST,
        bytes_scanned=MOST,
        start_us=None if state is QueryState.QUEUED else template.submit_us,
        first_page_us=None,
        end_us=template.end_us if ends else None,
        expire_us=template.expire_us if ends else None,
        cancel_us=template.submit_us,
        cancel_reason=WIDE * 1000,
    )
    live = LiveQuery(query)
    live.advance_progress(progress)
    live.expected_us = MOST
    if state is QueryState.QUEUED:
        times = {"start_us": template.end_us, "end_us": template.end_us}
        live.place = QueuePlace(1 << 30, 1 << 30, failure.message, **times)
    service.parts.shared.registry.keep(live)
    return live


async def store(service: Service, live: LiveQuery) -> None:
    # Of a query that has ended, no parameters are in memory.
    await service.parts.state.store.submit(live.query.but(submission=replace(live.query.submission, parameters=b"")))


async def most_pages(api: Api, query_id: str) -> Message:
    """As many pages as one reply lists, with the largest numbers."""
    pages = [ListedPage(MOST, MOST, MOST, (1 << 32) - 1)] * PAGES_MAX
    listed = Listed(1, pages, ListCursor(1, MOST), ResultTotals(MOST, MOST, MOST))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PageListing, "list", AsyncMock(return_value=listed))
        return await api.pages(query_id)


def many_parameters() -> list[Parameter]:
    zoned = DataType(kind=TYPE_KIND_TIMESTAMP, time_zone="x" * 1_000)
    listed = DataType(kind=TYPE_KIND_LIST, fields=[Column(name="item", type=zoned)])
    return [
        Parameter(name=f"{number:04}{WIDE * 250}", type=data_type, value=Value(list_value=ListValue()))
        for number, data_type in enumerate([zoned, listed] * 250)
    ]


async def explanations(api: Api, template: Query) -> list[Message]:
    """Of a text that policies shaped, which is not shown, and of another one."""
    made = largest_explanation(template)
    shaped = replace(made, plan=replace(made.plan, policy_version="v" * 64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Explaining, "explain", AsyncMock(side_effect=[made, shaped]))
        return [await api.script("rows 1", mode=pb.SUBMIT_MODE_EXPLAIN) for _ in range(2)]


async def most_usage(api: Api) -> Message:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UsageReport, "of", AsyncMock(return_value=largest_usage()))
        usage = await api.call("GetUsage", pb.GetUsageRequest(page_size=10_000))
        assert isinstance(usage, Message)
        return usage


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def everything(wide: Service, channel_of_wide: grpc.aio.Channel) -> dict[str, list[Message]]:
    """Replies of every RPC, by its name."""
    api = Api(channel_of_wide, "everything", user="u" * NAME_CHARACTERS_MAX)
    replies: dict[str, list[Message]] = {method.name: [] for method in SERVICE.methods}

    async def stream(reading: Reading, method: str) -> None:
        replies[method] += await reading.all()

    one = await api.script(columns(10, 50_000), labels=LABELS, wait_timeout=WAIT)
    replies["Submit"].append(one)
    real = wide.parts.shared.registry.in_memory(api.tenant, one.status.query_id)
    assert real is not None
    replies["Submit"] += await explanations(api, real.query)
    replies["GetUsage"].append(await most_usage(api))
    large = (await api.script(columns(45, 100_000), wait_timeout=WAIT)).status.query_id
    queued, running, failed, completed = (
        largest(wide, real.query, state)
        for state in (QueryState.QUEUED, QueryState.RUNNING, QueryState.FAILED, QueryState.COMPLETED)
    )
    for live in (queued, running, failed, completed):
        replies["GetStatus"].append(
            await api.call("GetStatus", pb.GetStatusRequest(query_id=live.query.query_id, after_version=live.version))
        )
    asked = await api.script("rows 1; " + " " * (128 << 10), parameters=many_parameters(), labels=LABELS)
    for query_id in (asked.status.query_id, queued.query.query_id):
        full = pb.GetStatusRequest(query_id=query_id, view=pb.QUERY_VIEW_FULL)
        replies["GetStatus"].append(await api.call("GetStatus", full))
    second = timedelta(seconds=1)
    await stream(api.watch(running.query.query_id, heartbeat_interval=second), "WatchStatus")
    await stream(api.watch(failed.query.query_id), "WatchStatus")
    for rotates, live in ((False, failed), (True, queued)):
        watch = api.watch_all(heartbeat_interval=second)
        await watch.to("reset")
        wide.parts.shared.registry.changes.note(live.key, True)
        await watch.to("status")
        if rotates:
            await watch.all()
        watch.leave()
        replies["WatchQueries"] += watch.events
    await stream(api.stream(running.query.query_id, heartbeat_interval=second), "StreamResults")
    await stream(api.stream(large), "StreamResults")
    long_row = (await api.script("columns s:string; rows 1 size 5000000", wait_timeout=WAIT)).status.query_id
    await stream(api.stream(long_row, format=ROWS), "StreamResults")
    await stream(api.stream(one.status.query_id), "StreamResults")
    await stream(api.stream(large, format=ROWS), "StreamResults")
    await stream(api.stream(one.status.query_id, format=ROWS), "StreamResults")
    for format_ in (ROWS, result_pb2.PAGE_FORMAT_ARROW):
        replies["FetchPage"].append(await api.fetch(one.status.query_id, offset=30, page_size=100_000, format=format_))
        replies["FetchPage"].append(await api.fetch(one.status.query_id, offset=30, page_size=3, format=format_))
    replies["ListPages"].append(await most_pages(api, one.status.query_id))
    replies["Cancel"].append(await api.cancel(failed.query.query_id))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wide.parts.cases.cancelling, "request", AsyncMock())
        active = [largest(wide, real.query, QueryState.RUNNING) for _ in range(QUERIES_MAX + 1)]
        replies["CancelQueries"].append(await api.cancel_matching(labels=LABELS))
        for live in active:
            wide.parts.shared.registry._active.pop(live.key)
    replies["ReleaseResults"].append(await api.release(failed.query.query_id))
    for number in range(100):
        await store(wide, largest(wide, real.query.but(submit_us=number), QueryState.FAILED))
    replies["ListQueries"].append(await api.listed(page_size=1000, states=[FAILED]))
    replies["ListEngines"].append(await api.call("ListEngines", pb.ListEnginesRequest()))
    many = [ViewChange(f"{number:05}{HUGE[:1_000]}", ViewChangeKind.UNREADABLE, HUGE) for number in range(1_000)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wide.pool, "refresh", AsyncMock(return_value=[Refreshed.of(MOST >> 32, many)]))
        replies["RefreshEngine"].append(await api.refresh())
    return replies


def filled(message: Message) -> Iterator[str]:
    """Names of the fields that hold something, in the message and in those inside it."""
    for field, value in message.ListFields():
        yield field.full_name
        if field.message_type is None or field.message_type.full_name in OPEN_ENDED or is_map(field):
            continue
        for each in value if field.is_repeated else [value]:
            yield from filled(each)


def growing(descriptor: Descriptor) -> Iterator[str]:
    """Names of the fields that decide how large such a message may be: texts, bytes, lists, messages."""
    for field in descriptor.fields:
        is_text = field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
        if field.is_repeated or is_text or field.message_type is not None:
            yield field.full_name
        if field.message_type is not None and field.message_type.full_name not in OPEN_ENDED and not is_map(field):
            yield from growing(field.message_type)


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


@pytest.mark.parametrize("method", [method.name for method in SERVICE.methods])
async def test_every_reply_is_filled_to_its_largest_and_fits(everything: dict[str, list[Message]], method: str) -> None:
    reached = {name for reply in everything[method] for name in filled(reply)}
    expected = set(growing(SERVICE.methods_by_name[method].output_type))
    # A query that failed has no end, one that has ended has no progress: what one RPC cannot show, another does.
    elsewhere = {name for replies in everything.values() for reply in replies for name in filled(reply)}
    assert everything[method]
    assert expected <= elsewhere, f"give these a bound, and fill them here: {sorted(expected - elsewhere)}"
    own = {name for name in expected if name.startswith(SERVICE.methods_by_name[method].output_type.full_name + ".")}
    assert own <= reached, f"fill these here: {sorted(own - reached)}"
    assert max(reply.ByteSize() for reply in everything[method]) <= REPLY_BYTES_MAX


async def test_changes_of_views_that_do_not_fit_are_counted(everything: dict[str, list[Message]]) -> None:
    (reply,) = everything["RefreshEngine"]
    assert isinstance(reply, pb.RefreshEngineResponse)
    assert reply.ByteSize() > 3 << 20
    assert len(reply.changes) + reply.changes_left_out == 1_000
    assert reply.changes_left_out > 0


async def test_two_statuses_fit_beside_rows(everything: dict[str, list[Message]]) -> None:
    statuses = [reply.status for reply in everything["GetStatus"] + everything["Cancel"]]  # type: ignore[attr-defined]
    assert all(len(status.labels) == 32 for status in statuses)
    assert 40_000 < max(status.ByteSize() for status in statuses) <= STATUSES_BYTES // 2


async def test_a_list_is_cut_and_goes_on(wide: Service, wide_api: Api) -> None:
    reply = await wide_api.script("rows 1", wait_timeout=WAIT)
    real = wide.parts.shared.registry.in_memory(wide_api.tenant, reply.status.query_id)
    assert real is not None
    ids = [reply.status.query_id]
    for number in range(200):
        live = largest(wide, real.query.but(submit_us=number), QueryState.FAILED)
        await store(wide, live)
        ids.insert(1, live.query.query_id)
    seen, token, sizes = [], "", []
    while token or not sizes:
        listed = await wide_api.listed(page_size=1000, page_token=token)
        seen += [status.query_id for status in listed.queries]
        token = listed.next_page_token
        sizes.append(listed.ByteSize())
    assert seen == ids
    assert len(sizes) > 2
    assert min(sizes[:-1]) > 3 << 20
    assert max(sizes) <= REPLY_BYTES_MAX


@pytest.mark.parametrize("page_format", [ROWS, result_pb2.PAGE_FORMAT_ARROW])
async def test_pages_leave_room_for_their_columns(wide_api: Api, page_format: int) -> None:
    script = columns(10, 80_000).replace("rows 100 size 100", "rows 600 size 1000")
    query_id = (await wide_api.script(script)).status.query_id
    await wide_api.ended(query_id)
    seen, token, replies = 0, "", 0
    while token or not replies:
        position = {"page_token": token} if token else {"offset": 0}
        reply = await wide_api.fetch(query_id, page_size=100_000, format=page_format, **position)
        assert reply.ByteSize() <= REPLY_BYTES_MAX
        assert len(reply.schema.columns) == 10
        assert reply.page.start_row == seen
        seen += reply.page.row_count
        token = reply.next_page_token
        replies += 1
    assert seen == 600
    assert replies > 2


@pytest.mark.parametrize("rows", [0, 100])
async def test_columns_that_fit_in_no_reply_are_read_by_a_stream(wide: Service, wide_api: Api, rows: int) -> None:
    script = columns(45, 100_000).replace("rows 100 size 100", f"rows {rows} size 100")
    reply = await wide_api.script(script, wait_timeout=WAIT)
    assert reply.status.state == COMPLETED
    assert not reply.HasField("schema")
    assert not reply.pages
    for page_format in (ROWS, result_pb2.PAGE_FORMAT_ARROW):
        refusal = await refused(wide_api.fetch(reply.status.query_id, format=page_format))
        assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "REPLY_TOO_LARGE")
        assert "StreamResults" in refusal.message
        assert int(refusal.metadata["bytes"]) > int(refusal.metadata["limit"])
    async with AsyncClient(wide.address, tenant=wide_api.tenant) as client:
        table = await client.attach(reply.status.query_id).result().to_arrow()
    assert (table.num_columns, table.num_rows) == (45, rows)
    assert [name[:4] for name in table.column_names[:2]] == ["c0_x", "c1_x"]
    assert all(len(name) == 100_000 for name in table.column_names)


async def test_more_columns_than_a_result_may_have_are_refused_by_name(wide_api: Api) -> None:
    reply = await wide_api.script(columns(170, 100_000), wait_timeout=WAIT)
    assert (reply.status.state, reply.status.error.reason) == (FAILED, "RESULT_LIMIT")
    assert "170 columns" in reply.status.error.message


async def test_a_reply_that_nothing_cuts_is_refused_by_name(tmp_path: Path) -> None:
    """The last resort, for what only the settings of an operator can make large."""
    allowed = [f"setting_{number}".ljust(4000, "x") for number in range(1000)]
    engines = {"scripted": {"type": "scripted", "workers": 1}}
    async with serving(tmp_path, engines=engines) as service:
        choice = service.parts.choice
        engines = choice.engines
        traits = replace(engines["scripted"].traits, session_settings=tuple(allowed))
        choice.engines = {**engines, "scripted": replace(engines["scripted"], traits=traits)}
        async with grpc.aio.insecure_channel(service.address) as channel:
            refusal = await refused(Api(channel, "tenant").call("ListEngines", pb.ListEnginesRequest()))
    assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "REPLY_TOO_LARGE")
