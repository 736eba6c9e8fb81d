"""Whatever is wrong with a request is told by its name, with the field or the place, and leaves nothing behind.

The table of ids is driven by the contract itself: an RPC that is added without an entry here fails.
"""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from queryengine.v1 import query_service_pb2 as pb
from tests.support import RUNNING, SERVICE, WAIT, Api, Gate, Reading, Refusal, new_id, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

DOMAIN = "queryengine"
DAY = timedelta(days=1)
KIB = 1 << 10


def parameter(name: str = "", **value: Any) -> dict[str, Any]:
    return {"name": name, "value": value}


SUBMITS: dict[str, tuple[dict[str, Any], str, dict[str, str]]] = {
    "no sql": ({"sql": ""}, "NOT_ONE_STATEMENT", {"statements": "0"}),
    "blank sql": ({"sql": " \n\t "}, "NOT_ONE_STATEMENT", {"statements": "0"}),
    "only a comment": ({"sql": "-- nothing"}, "NOT_ONE_STATEMENT", {"statements": "0"}),
    "only a semicolon": ({"sql": ";"}, "NOT_ONE_STATEMENT", {"statements": "0"}),
    "two statements": ({"sql": "SELECT 1; SELECT 2"}, "NOT_ONE_STATEMENT", {"statements": "2"}),
    "no sense": ({"sql": "SELECT 1\nFROM x WHERE WHERE"}, "SYNTAX_ERROR", {"line": "2", "column": "14"}),
    "no sense in umlauts": ({"sql": "SELECT 'äöü' FRM x y"}, "SYNTAX_ERROR", {"line": "1", "column": "18"}),
    "an unclosed quote": ({"sql": "SELECT 'x"}, "SYNTAX_ERROR", {"line": "1"}),
    "insert": ({"sql": "INSERT INTO t VALUES (1)"}, "STATEMENT_NOT_ALLOWED", {"statement_type": "INSERT"}),
    "update": ({"sql": "UPDATE t SET a = 1"}, "STATEMENT_NOT_ALLOWED", {"statement_type": "UPDATE"}),
    "delete": ({"sql": "DELETE FROM t"}, "STATEMENT_NOT_ALLOWED", {"statement_type": "DELETE"}),
    "create": ({"sql": "CREATE TABLE t (a int)"}, "STATEMENT_NOT_ALLOWED", {"statement_type": "CREATE"}),
    "drop": ({"sql": "DROP TABLE t"}, "STATEMENT_NOT_ALLOWED", {"statement_type": "DROP"}),
    "copy": ({"sql": "COPY (SELECT 1) TO '/tmp/x'"}, "STATEMENT_NOT_ALLOWED", {"statement_type": "COPY"}),
    "set": ({"sql": "SET threads = 1"}, "STATEMENT_NOT_ALLOWED", {"statement_type": "SET"}),
    "attach": ({"sql": "ATTACH ':memory:' AS x"}, "STATEMENT_NOT_ALLOWED", {"statement_type": "ATTACH"}),
    "a script that writes": ({"sql": "write", "engine": "scripted"}, "STATEMENT_NOT_ALLOWED", {}),
    "sql that is too long": ({"sql": "SELECT '" + "x" * (128 * KIB) + "'"}, "INVALID_FIELD", {"field": "sql"}),
    "sql that is too long in bytes": ({"sql": "SELECT '" + "ü" * (65 * KIB) + "'"}, "INVALID_FIELD", {"field": "sql"}),
    "sql with a NUL": ({"sql": "SELECT '\0'"}, "INVALID_FIELD", {"field": "sql"}),
    "an id that is none": ({"query_id": "x"}, "INVALID_FIELD", {"field": "query_id"}),
    "an id in braces": ({"query_id": "{" + new_id() + "}"}, "INVALID_FIELD", {"field": "query_id"}),
    "an engine that is not there": (
        {"engine": "oracle"},
        "UNKNOWN_ENGINE",
        {"engine": "oracle", "known": "duckdb,scripted"},
    ),
    "a catalog": ({"engine": "scripted", "catalog": "c"}, "UNSUPPORTED", {"engine": "scripted", "feature": "catalog"}),
    "a schema": ({"engine": "scripted", "schema": "s"}, "UNSUPPORTED", {"engine": "scripted", "feature": "schema"}),
    "a setting": (
        {"engine": "scripted", "session_settings": {"threads": "4"}},
        "UNSUPPORTED",
        {"engine": "scripted", "feature": "session_settings.threads"},
    ),
    "a setting of duckdb that is not open": (
        {"session_settings": {"enable_external_access": "true"}},
        "UNSUPPORTED",
        {"engine": "duckdb", "feature": "session_settings.enable_external_access"},
    ),
    "a long catalog": ({"catalog": "c" * 256}, "INVALID_FIELD", {"field": "catalog"}),
    "a negative row limit": ({"limits": {"row_limit": -1}}, "INVALID_FIELD", {"field": "row_limit"}),
    "a negative scan limit": ({"limits": {"scan_row_limit": -1}}, "INVALID_FIELD", {"field": "scan_row_limit"}),
    "a negative byte limit": ({"limits": {"byte_limit": -1}}, "INVALID_FIELD", {"field": "byte_limit"}),
    "an unknown limit action": ({"limits": {"on_limit": 77}}, "INVALID_FIELD", {"field": "on_limit"}),
    "a negative timeout": (
        {"limits": {"execution_timeout": timedelta(seconds=-1)}},
        "INVALID_FIELD",
        {"field": "execution_timeout"},
    ),
    "no time to run": ({"limits": {"execution_timeout": timedelta()}}, "INVALID_FIELD", {"field": "execution_timeout"}),
    "a run of days": ({"limits": {"execution_timeout": 2 * DAY}}, "INVALID_FIELD", {"field": "execution_timeout"}),
    "a wait of days": ({"limits": {"queue_timeout": 2 * DAY}}, "INVALID_FIELD", {"field": "queue_timeout"}),
    "a wait in the call that is too long": (
        {"wait_timeout": timedelta(seconds=61)},
        "INVALID_FIELD",
        {"field": "wait_timeout"},
    ),
    "a negative wait": ({"wait_timeout": timedelta(seconds=-1)}, "INVALID_FIELD", {"field": "wait_timeout"}),
    "rows for weeks": ({"result": {"ttl": 8 * DAY}}, "INVALID_FIELD", {"field": "ttl"}),
    "rows for no time": ({"result": {"ttl": timedelta()}}, "INVALID_FIELD", {"field": "ttl"}),
    "an unknown compression": ({"result": {"compression": 9}}, "INVALID_FIELD", {"field": "compression"}),
    "an unknown form of wide integers": (
        {"result": {"wide_integers": 9}},
        "INVALID_FIELD",
        {"field": "wide_integers"},
    ),
    "an unknown format": ({"result": {"inline_format": 9}}, "INVALID_FIELD", {"field": "inline_format"}),
    "priority 10": ({"priority": 10}, "INVALID_FIELD", {"field": "priority"}),
    "priority -1": ({"priority": -1}, "INVALID_FIELD", {"field": "priority"}),
    "an unknown policy": ({"disconnect_policy": 9}, "INVALID_FIELD", {"field": "disconnect_policy"}),
    "a long grace": ({"disconnect_grace": timedelta(hours=2)}, "INVALID_FIELD", {"field": "disconnect_grace"}),
    "too many labels": ({"labels": {str(n): "" for n in range(33)}}, "INVALID_FIELD", {"field": "labels"}),
    "a long label": ({"labels": {"k" * 64: ""}}, "INVALID_FIELD", {"field": "labels"}),
    "a long label value": ({"labels": {"k": "v" * 256}}, "INVALID_FIELD", {"field": "labels"}),
    "a label without a name": ({"labels": {"": "v"}}, "INVALID_FIELD", {"field": "labels"}),
    "too many parameters": (
        {"parameters": [parameter(int_value=1)] * 1001},
        "INVALID_FIELD",
        {"field": "parameters"},
    ),
    "named and positional parameters": (
        {"parameters": [parameter("a", int_value=1), parameter(int_value=1)]},
        "INVALID_FIELD",
        {"field": "parameters"},
    ),
    "one name twice": (
        {"parameters": [parameter("a", int_value=1), parameter("a", int_value=1)]},
        "INVALID_FIELD",
        {"field": "parameters"},
    ),
    "a parameter without a value": (
        {"parameters": [{"name": "a"}]},
        "INVALID_FIELD",
        {"field": "parameters[0].value"},
    ),
}

RUNS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown table": ({"sql": "SELECT * FROM no_such_table"}, "STATEMENT_REJECTED"),
    "an unknown column": ({"sql": "SELECT a FROM (SELECT 1 AS b)"}, "STATEMENT_REJECTED"),
    "a value that does not fit": ({"sql": "SELECT 'x'::int"}, "STATEMENT_REJECTED"),
    "a missing parameter": ({"sql": "SELECT $a"}, "PARAMETER_MISMATCH"),
    "a parameter too many": ({"sql": "SELECT 1", "parameters": [parameter("b", int_value=1)]}, "PARAMETER_MISMATCH"),
    "another parameter": ({"sql": "SELECT $a", "parameters": [parameter("b", int_value=1)]}, "PARAMETER_MISMATCH"),
    "positional ones too few": ({"sql": "SELECT ?, ?", "parameters": [parameter(int_value=1)]}, "PARAMETER_MISMATCH"),
    "a local file": ({"sql": "SELECT * FROM '/etc/passwd'"}, "STATEMENT_REJECTED"),
}
"""What only the engine can know: accepted, and FAILED."""

FIELDS: dict[str, tuple[Callable[[Api, str], Any], str]] = {
    "status wait": (lambda api, q: api.status(q, wait_timeout=timedelta(minutes=2)), "wait_timeout"),
    "status view": (lambda api, q: api.status(q, view=9), "view"),
    "cancel wait": (lambda api, q: api.cancel(q, wait_timeout=timedelta(minutes=2)), "wait_timeout"),
    "cancel reason": (lambda api, q: api.cancel(q, reason="x" * 1001), "reason"),
    "cancel some without labels": (lambda api, _: api.cancel_matching(engine="duckdb"), "labels"),
    "cancel some labels": (lambda api, _: api.cancel_matching(labels={"a": "x" * 256}), "labels"),
    "cancel some engine": (lambda api, _: api.cancel_matching(labels={"a": ""}, engine="x" * 256), "engine"),
    "cancel some subject": (lambda api, _: api.cancel_matching(labels={"a": ""}, subject="x" * 129), "subject"),
    "cancel some reason": (lambda api, _: api.cancel_matching(labels={"a": ""}, reason="x" * 1001), "reason"),
    "cancel some wait": (
        lambda api, _: api.cancel_matching(labels={"a": ""}, wait_timeout=timedelta(minutes=2)),
        "wait_timeout",
    ),
    "stream row": (lambda api, q: api.stream(q, start_row=-1), "start_row"),
    "stream end row": (lambda api, q: api.stream(q, start_row=5, end_row=4), "end_row"),
    "stream negative end row": (lambda api, q: api.stream(q, end_row=-1), "end_row"),
    "pages size": (lambda api, q: api.pages(q, page_size=-1), "page_size"),
    "pages token": (lambda api, q: api.pages(q, page_token="?"), "page_token"),
    "pages token out of range": (lambda api, q: api.pages(q, page_token="MTo5OQ=="), "page_token"),
    "stream attempt": (lambda api, q: api.stream(q, attempt=-1), "attempt"),
    "stream format": (lambda api, q: api.stream(q, format=9), "format"),
    "stream heartbeat short": (
        lambda api, q: api.stream(q, heartbeat_interval=timedelta(milliseconds=1)),
        "heartbeat_interval",
    ),
    "stream heartbeat long": (
        lambda api, q: api.stream(q, heartbeat_interval=timedelta(hours=1)),
        "heartbeat_interval",
    ),
    "watch heartbeat": (lambda api, q: api.watch(q, heartbeat_interval=timedelta(hours=1)), "heartbeat_interval"),
    "watch all states": (lambda api, _: api.watch_all(states=[0]), "states"),
    "watch all labels": (lambda api, _: api.watch_all(labels={"": "x"}), "labels"),
    "watch all subject": (lambda api, _: api.watch_all(subject="x" * 129), "subject"),
    "watch all engine": (lambda api, _: api.watch_all(engine="x" * 256), "engine"),
    "watch all position": (lambda api, _: api.watch_all(position="x" * 65), "position"),
    "watch all heartbeat": (
        lambda api, _: api.watch_all(heartbeat_interval=timedelta(milliseconds=1)),
        "heartbeat_interval",
    ),
    "fetch page": (lambda api, q: api.fetch(q, page=-1), "page"),
    "fetch offset": (lambda api, q: api.fetch(q, offset=-1), "offset"),
    "fetch size": (lambda api, q: api.fetch(q, page_size=-1), "page_size"),
    "fetch format": (lambda api, q: api.fetch(q, format=9), "format"),
    "fetch token": (lambda api, q: api.fetch(q, page_token="?"), "page_token"),
    "list size": (lambda api, _: api.listed(page_size=-1), "page_size"),
    "list token": (lambda api, _: api.listed(page_token="?"), "page_token"),
    "list state": (lambda api, _: api.listed(states=[99]), "states"),
    "list state unspecified": (lambda api, _: api.listed(states=[0]), "states"),
    "list subject": (lambda api, _: api.listed(subject="x" * 129), "subject"),
    "list engine": (lambda api, _: api.listed(engine="x" * 256), "engine"),
    "list prefix": (lambda api, _: api.listed(query_id_prefix="xyz"), "query_id_prefix"),
    "list from a time that is none": (
        lambda api, _: api.listed(submitted_after=Timestamp(seconds=1 << 62)),
        "submitted_after",
    ),
    "list to a time that is none": (
        lambda api, _: api.listed(submitted_before=Timestamp(nanos=-1)),
        "submitted_before",
    ),
    "list an empty range": (
        lambda api, _: api.listed(submitted_after=Timestamp(seconds=5), submitted_before=Timestamp(seconds=5)),
        "submitted_before",
    ),
    "list a range that goes back": (
        lambda api, _: api.listed(submitted_after=Timestamp(seconds=5), submitted_before=Timestamp(seconds=4)),
        "submitted_before",
    ),
}

BY_ID: dict[str, Callable[[Api, str], Any]] = {
    "GetStatus": lambda api, query_id: api.status(query_id),
    "StreamResults": lambda api, query_id: api.stream(query_id),
    "Cancel": lambda api, query_id: api.cancel(query_id),
    "WatchStatus": lambda api, query_id: api.watch(query_id),
    "FetchPage": lambda api, query_id: api.fetch(query_id),
    "ListPages": lambda api, query_id: api.pages(query_id),
    "ReleaseResults": lambda api, query_id: api.release(query_id),
}
"""Every RPC that takes the id of an existing query."""

UNNAMED = {"Submit", "ListQueries", "WatchQueries", "CancelQueries", "GetUsage", "ListEngines", "RefreshEngine"}
"""Every RPC that takes none."""


@pytest.mark.parametrize("case", SUBMITS)
async def test_a_bad_submit_is_refused_by_name_and_leaves_nothing(api: Api, case: str) -> None:
    fields, reason, metadata = SUBMITS[case]
    refusal = await refused(api.submit(**{"sql": "SELECT 1", **fields}))
    assert (refusal.code.name, refusal.reason, refusal.domain) == ("INVALID_ARGUMENT", reason, DOMAIN)
    assert metadata.items() <= refusal.metadata.items()
    assert len(refusal.message) > 15
    if reason == "INVALID_FIELD":
        assert refusal.field == refusal.metadata["field"]
    assert not (await api.listed()).queries


@pytest.mark.parametrize("case", RUNS)
async def test_what_the_engine_refuses_fails_the_query(api: Api, case: str) -> None:
    fields, reason = RUNS[case]
    reply = await api.submit(**fields, wait_timeout=WAIT)
    assert reply.status.error.reason == reason
    assert not reply.status.error.retryable
    assert len(reply.status.error.message) > 15
    refusal = await refused(api.stream(reply.status.query_id))
    assert (refusal.code.name, refusal.reason, refusal.domain) == ("INVALID_ARGUMENT", reason, DOMAIN)
    assert refusal.message == reply.status.error.message


async def test_an_unknown_table_is_told_in_the_engines_words_and_with_its_place(api: Api) -> None:
    reply = await api.submit("SELECT *\n  FROM no_such_table", wait_timeout=WAIT)
    assert "no_such_table" in reply.status.error.message
    assert (reply.status.error.position.line, reply.status.error.position.column) == (2, 8)


@pytest.mark.parametrize("case", FIELDS)
async def test_a_bad_field_is_named(api: Api, case: str) -> None:
    query_id = (await api.submit("SELECT 1", wait_timeout=WAIT)).status.query_id
    call, field = FIELDS[case]
    refusal = await refused(call(api, query_id))
    assert (refusal.code.name, refusal.reason, refusal.domain) == ("INVALID_ARGUMENT", "INVALID_FIELD", DOMAIN)
    assert refusal.field == refusal.metadata["field"] == field
    assert field in refusal.message


async def test_every_rpc_is_in_a_table() -> None:
    takes_id = {method.name for method in SERVICE.methods if "query_id" in method.input_type.fields_by_name} - {
        "Submit"
    }
    assert takes_id == set(BY_ID)
    assert {method.name for method in SERVICE.methods} == set(BY_ID) | UNNAMED


@pytest.mark.parametrize("method", BY_ID)
async def test_nobody_can_tell_a_foreign_id_from_one_that_is_not(api: Api, other: Api, gate: Gate, method: str) -> None:
    waiting = (await other.script(gate.script)).status.query_id
    await other.reached(waiting, RUNNING)
    done = (await other.submit("SELECT 1", wait_timeout=WAIT)).status.query_id
    ids = [
        waiting,
        done,
        done.upper(),
        new_id(),
        "",
        "x",
        "../../etc",
        "é",
        "%s",
        "0" * 36,
        "x" * 100_000,
        done[:-1],
        done + " ",
    ]
    answers = [await refused(BY_ID[method](api, query_id)) for query_id in ids]
    first = answers[0]
    assert (first.code.name, first.reason, first.domain) == ("NOT_FOUND", "QUERY_NOT_FOUND", DOMAIN)
    assert not first.metadata
    assert {(answer.code, answer.message, answer.trailers) for answer in answers} == {
        (first.code, first.message, first.trailers)
    }
    assert (await other.status(waiting)).state == RUNNING
    gate.open()
    await other.ended(waiting)


def raw(api: Api, method: str, request: bytes) -> Any:
    """The call with these bytes as its request."""
    path = f"/{SERVICE.full_name}/{method}"
    if SERVICE.methods_by_name[method].server_streaming:
        return Reading(api.channel.unary_stream(path)(request, metadata=api.metadata))
    return api.channel.unary_unary(path)(request, metadata=api.metadata)


METHODS = sorted(method.name for method in SERVICE.methods)
NOISE = b"\xff" * 100
TRUNCATED = pb.SubmitRequest(query_id="6ecd8c99-4036-403d-bf84-cf8400f67836").SerializeToString()[:-3]
NOT_TEXT = b"\x0a\x02\xff\xfe"


@pytest.mark.parametrize(
    ("method", "request_bytes"),
    [
        *((method, garbage) for method in METHODS for garbage in (NOISE, TRUNCATED)),
        *((method, NOT_TEXT) for method in BY_ID),
    ],
)
async def test_bytes_that_are_no_request_are_refused(api: Api, method: str, request_bytes: bytes) -> None:
    refusal = await refused(raw(api, method, request_bytes))
    assert (refusal.code.name, refusal.reason, refusal.field) == ("INVALID_ARGUMENT", "INVALID_FIELD", "request")


@pytest.mark.parametrize("method", METHODS)
async def test_a_request_that_is_too_large_is_refused(api: Api, method: str) -> None:
    refusal = await refused(raw(api, method, b"\x7a" + b"\x80\x80\x44" + b"x" * (1 << 20) + b" " * (1 << 16)))
    assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_TOO_LARGE")
    assert refusal.metadata["limit"] == str(1 << 20)


async def test_a_request_far_too_large_is_cut_off_by_the_transport(api: Api) -> None:
    refusal = await refused(api.submit("SELECT 1", labels={"k": "v" * (3 << 20)}))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "")
    assert (await api.submit("SELECT 1", wait_timeout=WAIT)).HasField("end")


async def test_fields_of_a_newer_contract_are_passed_over(api: Api) -> None:
    request = pb.ListEnginesRequest().SerializeToString() + b"\xc2\x3e\x03new"
    assert isinstance(await raw(api, "ListEngines", request), bytes)


async def test_a_refusal_fits_in_headers(api: Api) -> None:
    refusal = await refused(api.submit("SELECT 1 " + "x" * 100_000 + " y z"))
    assert isinstance(refusal, Refusal)
    assert len(refusal.message) < 5000
    assert refusal.reason == "SYNTAX_ERROR"


async def test_a_list_token_that_no_answer_held_is_refused(api: Api) -> None:
    for text in ("9" * 30 + ":a", "-" + "9" * 30 + ":a", "x:a"):
        token = base64.urlsafe_b64encode(text.encode()).decode()
        refusal = await refused(api.stub.ListQueries(pb.ListQueriesRequest(page_token=token), metadata=api.metadata))
        assert (refusal.reason, refusal.field) == ("INVALID_FIELD", "page_token")


async def test_a_filter_of_too_many_labels_is_refused(api: Api) -> None:
    request = pb.ListQueriesRequest(labels={str(number): "" for number in range(2000)})
    refusal = await refused(api.stub.ListQueries(request, metadata=api.metadata))
    assert (refusal.reason, refusal.field) == ("INVALID_FIELD", "labels")


@pytest.mark.parametrize("character", ["日", "%", "x", "\n"])
async def test_a_long_message_fits_in_headers(api: Api, character: str) -> None:
    sql = f"SELECT CAST('{character * 3000}' AS INT)"
    query_id = (await api.submit(sql, wait_timeout=WAIT)).status.query_id
    for _ in range(10):
        for call in (api.stream(query_id), api.fetch(query_id)):
            refusal = await refused(call)
            assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "STATEMENT_REJECTED")
            assert refusal.message.startswith("Conversion Error")
