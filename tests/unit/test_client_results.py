"""What a result can be read as, and that no row of it gets lost on the way."""

import datetime as dt
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import duckdb
import grpc
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import pytest_asyncio

from queryengine.client import (
    AsyncClient,
    Client,
    QueryEngineClientError,
    QueryFailed,
    QueryResult,
    ServiceUnavailable,
)
from queryengine.v1 import query_service_pb2
from tests.unit.fake_service import (
    ID,
    FakeService,
    Refuse,
    end,
    event,
    numbers,
    page,
    schema,
    start,
    status,
    whole,
)

PAGES = [numbers(10), numbers(5, start=10), numbers(3, start=15)]
TOTAL = 18
ALL = pa.Table.from_batches(PAGES)


@pytest.fixture
def client(fake_target: str) -> Iterator[Client]:
    with Client(fake_target, tenant="acme", give_up_after=0) as client:
        yield client


@pytest.fixture
def result(client: Client, fake: FakeService) -> QueryResult:
    fake.streams["StreamResults"].append(whole(PAGES))
    return client.attach(ID).result()


def of(batch: pa.RecordBatch) -> list[bytes]:
    """The stream of a result of one page."""
    return [start(), schema(arrow=batch.schema), *page(batch, 0), end(batch.num_rows)]


def by_duckdb(result: QueryResult) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.sql("SELECT n, text FROM result ORDER BY n").fetchall()


READERS: dict[str, Callable[[QueryResult], Any]] = {
    "pyarrow": lambda result: pa.table(result).to_pylist(),
    "pyarrow, batch by batch": lambda result: pa.RecordBatchReader.from_stream(result).read_all().to_pylist(),
    "polars": lambda result: pl.DataFrame(result).to_dicts(),
    "pandas": lambda result: pd.DataFrame.from_arrow(result).to_dict("records"),
    "duckdb": lambda result: [dict(zip(("n", "text"), row, strict=True)) for row in by_duckdb(result)],
    "to_arrow": lambda result: result.to_arrow().to_pylist(),
    "to_pandas": lambda result: result.to_pandas().to_dict("records"),
    "to_polars": lambda result: result.to_polars().to_dicts(),
    "to_pylist": lambda result: result.to_pylist(),
    "rows": lambda result: [dict(zip(("n", "text"), row, strict=True)) for row in result.rows()],
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_every_reader_gets_every_row(result: QueryResult, read: Callable[[QueryResult], Any]) -> None:
    assert read(result) == ALL.to_pylist()


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_every_reader_gets_the_columns_of_an_empty_result(
    client: Client, fake: FakeService, read: Callable[[QueryResult], Any]
) -> None:
    fake.streams["StreamResults"].append(whole([]))
    assert read(client.attach(ID).result()) == []


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_a_second_reading_is_never_empty(result: QueryResult, read: Callable[[QueryResult], Any]) -> None:
    read(result)
    # Libraries raise errors of their own, with the text of ours.
    with pytest.raises(Exception, match=r"have been read.*result\.handle\.result\(\)"):
        read(result)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_a_failure_reaches_every_reader(client: Client, fake: FakeService, read: Callable[[QueryResult], Any]) -> None:
    refusal = Refuse(grpc.StatusCode.ABORTED, "ENGINE_ERROR", "out of cheese")
    fake.streams["StreamResults"].append([*whole(PAGES)[:4], refusal])
    with pytest.raises(Exception, match="out of cheese"):
        read(client.attach(ID).result())


def test_the_columns_alone_read_nothing(result: QueryResult, fake: FakeService) -> None:
    assert pa.schema(result) == numbers(0).schema
    assert result.to_arrow() == ALL


def test_reading_again_by_the_handle(result: QueryResult, fake: FakeService) -> None:
    fake.streams["StreamResults"].append(whole(PAGES))
    assert result.to_arrow() == result.handle.result().to_arrow() == ALL


def test_rows_that_came_before_an_interrupt_are_read_again(client: Client, fake: FakeService) -> None:
    class Interrupt(BaseException):
        pass

    def interrupt(_: object) -> None:
        raise Interrupt

    late = event(status=status("RUNNING", 50))
    fake.streams["StreamResults"].extend([[*whole(PAGES)[:4], late], whole(PAGES, from_row=10)])
    result = client.attach(ID).result()
    assert result.schema
    result._on_status = interrupt
    with pytest.raises(Interrupt):
        result.to_arrow()
    result._on_status = None
    assert result.to_arrow() == ALL


def test_an_interrupted_reading_that_cannot_go_on_says_so_again(client: Client, fake: FakeService) -> None:
    cut = Refuse(grpc.StatusCode.UNAVAILABLE)
    fake.streams["StreamResults"].extend([[*whole(PAGES)[:4], cut], [start(10), cut]])
    result = client.attach(ID).result()
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            result.to_arrow()


UNFIT: dict[str, tuple[pa.RecordBatch, str, type[Exception], str]] = {
    "columns of one name": (
        pa.record_batch([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "b", "a"]),
        "to_pylist",
        ValueError,
        "more than one column is named 'a'; name them apart with AS, or read rows",
    ),
    "columns of two names": (
        pa.record_batch([pa.array([1])] * 4, names=["b", "a", "b", "a"]),
        "to_pylist",
        ValueError,
        "more than one column is named 'a', 'b'",
    ),
    "columns of one name in Polars": (
        pa.record_batch([pa.array([1]), pa.array([2])], names=["a", "a"]),
        "to_polars",
        Exception,
        "names must be unique",
    ),
    "a date beyond Python's": (
        pa.record_batch({"d": pa.array([2932897], pa.int32()).view(pa.date32())}),
        "rows",
        OverflowError,
        "row 0, column 'd': Python has no value for this one",
    ),
}


@pytest.mark.parametrize(("batch", "method", "error"), [(a, b, c) for a, b, *c in UNFIT.values()], ids=UNFIT.keys())
def test_what_a_form_cannot_hold_is_refused_and_kept(
    client: Client, fake: FakeService, batch: pa.RecordBatch, method: str, error: tuple[type[Exception], str]
) -> None:
    kind, message = error
    fake.streams["StreamResults"].append(of(batch))
    result = client.attach(ID).result()
    for _ in range(2):
        with pytest.raises(kind, match=message):
            getattr(result, method)()
    assert result.to_arrow() == pa.Table.from_batches([batch])


def test_rows_keep_columns_of_one_name(client: Client, fake: FakeService) -> None:
    batch = pa.record_batch([pa.array([1, 4]), pa.array(["x", None]), pa.array([3, 5])], names=["a", "b", "a"])
    fake.streams["StreamResults"].append(of(batch))
    assert client.attach(ID).result().rows() == [(1, "x", 3), (4, None, 5)]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_missing_is_named_and_no_row_is_lost(
    result: QueryResult, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=f"to_{library} needs {library}: pip install {library}"):
        getattr(result, f"to_{library}")()
    assert result.to_arrow() == ALL


INTERVAL = pa.array([pa.MonthDayNano([1, 2, 3])])
WIDE = pa.array([Decimal(1)], pa.decimal256(60))


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        (INTERVAL, "CAST it to text in the query, set POLARS_IMPORT_INTERVAL_AS_STRUCT=1 in the environment"),
        (pa.ListArray.from_arrays([0, 1], INTERVAL), "CAST it to text in the query"),
        (pa.StructArray.from_arrays([INTERVAL], ["i"]), "CAST it to text in the query"),
        (pa.MapArray.from_arrays([0, 1], pa.array(["a"]), INTERVAL), "CAST it to text in the query"),
        (WIDE, 'CAST it in the query, submit with wide_integers="string"'),
        (pa.ListArray.from_arrays([0, 1], WIDE), "CAST it in the query"),
    ],
)
def test_what_polars_does_not_take_is_named_and_no_row_is_lost(
    client: Client, fake: FakeService, values: pa.Array, advice: str
) -> None:
    fake.streams["StreamResults"].append(of(pa.record_batch([pa.array([1]), values], names=["n", "odd"])))
    result = client.attach(ID).result()
    with pytest.raises(TypeError, match=re.escape(f"column 'odd' of type {values.type}: {advice}")):
        result.to_polars()
    assert result.to_arrow().num_rows == 1


def test_polars_takes_intervals_where_it_is_said_to() -> None:
    # It looks once in a process.
    code = """if True:
        import pyarrow as pa
        from queryengine.client.frames import to_polars
        print(to_polars(pa.table({"i": pa.array([pa.MonthDayNano([1, 2, 3])])}))["i"][0]["months"])
    """
    environment = {**os.environ, "POLARS_IMPORT_INTERVAL_AS_STRUCT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr


def test_a_value_that_pandas_has_no_place_for_is_named(client: Client, fake: FakeService) -> None:
    time = pa.array([43_200_123_456_789], pa.time64("ns"))
    batch = pa.record_batch([time], names=["t"])
    fake.streams["StreamResults"].append(of(batch))
    result = client.attach(ID).result()
    with pytest.raises(ValueError, match=r"nanoseconds; types_mapper=pandas\.ArrowDtype keeps all values"):
        result.to_pandas()
    assert len(result.to_pandas(types_mapper=pd.ArrowDtype)) == 1


def test_to_pandas_passes_its_options_on(result: QueryResult) -> None:
    assert list(result.to_pandas(strings_to_categorical=True).dtypes.astype(str)) == ["int64", "category"]


def test_a_result_shows_what_has_arrived_and_reads_nothing(client: Client, fake: FakeService) -> None:
    evil = "<script>alert(1)</script>"
    batch = pa.record_batch({evil: pa.array([evil, None, "x" * 500], pa.string()), "n": pa.array([1, 2, 3])})
    description = query_service_pb2.StreamResultsResponse.FromString(schema(arrow=batch.schema)).schema
    fake.replies["Submit"].append(
        query_service_pb2.SubmitResponse(
            status=status("COMPLETED", 5),
            schema=description,
            pages=[query_service_pb2.StreamResultsResponse.FromString(page(batch, 0)[0]).page],
            end=query_service_pb2.StreamResultsResponse.FromString(end(3)).end,
        )
    )
    result = client.query("SELECT 1")

    for _ in range(2):
        html = result._repr_html_()
        assert "<script>" not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
        assert "<small>int64</small>" in html
        assert "<i>NULL</i>" in html
        assert html.count("<tr>") == 4
        assert "x" * 199 + "…" in html
        assert "x" * 201 not in html
    assert repr(result) == f"<QueryResult {result.query_id}: COMPLETED, 2 columns, 0 rows read, 3 more here>"
    assert result.rows()[1] == (None, 2)
    assert repr(result) == f"<QueryResult {result.query_id}: COMPLETED, 2 columns, 3 rows read, 0 more here>"


def test_a_result_shows_itself_before_and_after(client: Client) -> None:
    result = client.attach(ID).result()
    assert repr(result) == f"<QueryResult {ID}: not read yet>"
    assert result._repr_html_() == f"<div>query {ID}: not read yet</div>"
    result.close()
    assert repr(result) == f"<QueryResult {ID}: not read yet, closed>"


def test_a_failed_query_shows_itself(client: Client, fake: FakeService) -> None:
    fake.replies["Submit"].append(
        query_service_pb2.SubmitResponse(
            status=status("FAILED", 3, error={"reason": "SYNTAX_ERROR", "message": "near FORM", "code": 3})
        )
    )
    result = client.query("SELECT FORM")
    assert "FAILED" in repr(result)
    assert "FAILED" in result._repr_html_()
    with pytest.raises(QueryFailed, match="near FORM"):
        result.rows()


SHOWN = {
    "client": (lambda client: client, "<Client TARGET, tenant acme>"),
    "handle": (lambda client: client.attach(ID), f"<QueryHandle {ID}>"),
    "connection": (
        lambda client: client.connection,
        "Connection(target='TARGET', tenant='acme', user='', timeout=30.0, give_up_after=0, on_retry=None, channel_options=())",  # noqa: E501
    ),
}


@pytest.mark.parametrize(("make", "shown"), SHOWN.values(), ids=SHOWN.keys())
def test_everything_shows_itself(client: Client, make: Callable[[Client], object], shown: str) -> None:
    assert repr(make(client)) == shown.replace("TARGET", client.connection.target)


def test_what_calls_return_shows_what_it_says(client: Client, fake: FakeService) -> None:
    said = status(
        "FAILED",
        3,
        error={"reason": "SYNTAX_ERROR", "message": "near FORM", "code": 3},
        submit_time=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    )
    fake.replies["GetStatus"].append(query_service_pb2.GetStatusResponse(status=said))
    fake.replies["ListQueries"].append(query_service_pb2.ListQueriesResponse(queries=[said], next_page_token="more"))
    shown = repr(client.attach(ID).status())
    assert shown.startswith(f"<QueryStatus query_id='{ID}' version=3 state=FAILED result_state=NONE engine='duckdb' ")
    assert "submit_time=2026-01-02T03:04:05+00:00" in shown
    assert "error=<QueryError code=3 reason='SYNTAX_ERROR' message='near FORM' retryable=False>" in shown
    assert "None" not in shown
    assert repr(client.list_queries()) == f"<QueryList queries=({shown},) next_page_token='more'>"


def test_secrets_are_not_shown(fake_target: str) -> None:
    with Client(fake_target, user="ann", metadata=(("authorization", "Bearer secret"),)) as client:
        for each in (client, client.connection, client.attach(ID), client.attach(ID).result()):
            assert "secret" not in repr(each)
        assert repr(client) == f"<Client {fake_target}, user ann>"
    assert repr(client).endswith(", closed>")


@pytest.mark.asyncio(loop_scope="session")
class TestAsyncio:
    """The same, awaited."""

    @pytest_asyncio.fixture(loop_scope="session")
    async def client(self, fake_target: str) -> Any:
        async with AsyncClient(fake_target, tenant="acme") as client:
            yield client

    async def test_every_form_has_every_row_once(self, client: AsyncClient, fake: FakeService) -> None:
        rows = ALL.to_pylist()
        for name, found in {
            "to_arrow": lambda table: table.to_pylist(),
            "to_pandas": lambda frame: frame.to_dict("records"),
            "to_polars": lambda frame: frame.to_dicts(),
            "to_pylist": lambda each: each,
            "rows": lambda each: [dict(zip(("n", "text"), row, strict=True)) for row in each],
        }.items():
            fake.streams["StreamResults"].append(whole(PAGES))
            result = client.attach(ID).result()
            assert found(await getattr(result, name)()) == rows
            with pytest.raises(QueryEngineClientError, match="have been read"):
                await getattr(result, name)()

    async def test_what_a_form_cannot_hold_is_kept(self, client: AsyncClient, fake: FakeService) -> None:
        batch = pa.record_batch([pa.array([1]), pa.array([2])], names=["a", "a"])
        fake.streams["StreamResults"].append(of(batch))
        result = client.attach(ID).result()
        with pytest.raises(ValueError, match="more than one column is named 'a'"):
            await result.to_pylist()
        assert await result.rows() == [(1, 2)]
        assert repr(result) == f"<AsyncQueryResult {ID}: COMPLETED, 2 columns, 1 rows read, 0 more here>"
