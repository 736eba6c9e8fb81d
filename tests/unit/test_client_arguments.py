"""What callers pass wrongly is refused before any call, by the name of the argument and with what it takes."""

import asyncio
import datetime as dt
import math
import uuid
from typing import Any

import pytest

from queryengine.client import AsyncClient, Client, Connection
from queryengine.client.calls import (
    cancel,
    cancel_queries,
    fetch_page,
    get_status,
    list_queries,
    query,
    release,
    submit,
)
from queryengine.client.changes import watch_request
from queryengine.domain.lifecycle import QueryState
from queryengine.v1 import query_pb2
from tests.unit.fake_service import ID

SECOND = dt.timedelta(seconds=1)
DURATIONS = ["wait_timeout", "queue_timeout", "execution_timeout", "ttl", "disconnect_grace"]


def sent(**options: Any) -> Any:
    return submit("SELECT 1", None, options).request


def duration_of(request: Any, name: str) -> dt.timedelta:
    place = {"queue_timeout": request.limits, "execution_timeout": request.limits, "ttl": request.result}
    value: dt.timedelta = getattr(place.get(name, request), name).ToTimedelta()
    return value


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", [1, 1.0, SECOND, 1.5, dt.timedelta(minutes=2), 0, 0.1, 1e-6, 1e9])
def test_a_duration_is_seconds_or_a_timedelta(name: str, value: Any) -> None:
    expected = value if isinstance(value, dt.timedelta) else dt.timedelta(seconds=value)
    assert duration_of(sent(**{name: value}), name) == expected


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("5m", TypeError),
        (True, TypeError),
        ([1], TypeError),
        (-1, ValueError),
        (-SECOND, ValueError),
        (math.nan, ValueError),
        (math.inf, ValueError),
        (1e30, ValueError),
        (dt.timedelta.max, ValueError),
    ],
)
def test_what_is_no_duration_is_refused(name: str, value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=rf"{name} takes .*seconds"):
        sent(**{name: value})


def test_other_durations_are_seconds_or_a_timedelta() -> None:
    assert get_status(ID, after_version=0, wait_timeout=SECOND).wait_seconds == 1.0
    assert cancel(ID, reason="", wait_timeout=SECOND).request.wait_timeout.ToTimedelta() == SECOND
    chosen = Connection(timeout=2 * SECOND, give_up_after=3 * SECOND)
    assert (chosen.call_seconds, chosen.give_up_seconds) == (2.0, 3.0)
    with pytest.raises(TypeError, match="wait_for_change takes a number of seconds or a timedelta, not 'soon'"):
        get_status(ID, after_version=0, wait_timeout="soon")
    with pytest.raises(TypeError, match="wait takes a number"):
        cancel(ID, reason="", wait_timeout=None)
    for name in ("timeout", "give_up_after"):
        with pytest.raises(TypeError, match=f"{name} takes a number of seconds or a timedelta, not '30s'"):
            Client(**{name: "30s"})
        with pytest.raises(ValueError, match=f"{name} takes"):
            Client(**{name: -1})


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"row_limit": 1.5}, TypeError, "row_limit takes an integer, not 1.5"),
        ({"row_limit": "5"}, TypeError, "row_limit takes an integer, not '5'"),
        ({"byte_limit": True}, TypeError, "byte_limit takes an integer, not True"),
        ({"row_limit": 1 << 63}, ValueError, "row_limit takes an integer of 64 bits"),
        ({"priority": 1.0}, TypeError, "priority takes an integer, not 1.0"),
        ({"priority": 10**12}, ValueError, "priority takes an integer of 32 bits"),
        ({"labels": {"a": 1}}, TypeError, "labels takes a mapping of strings to strings, not {'a': 1}"),
        ({"labels": {1: "a"}}, TypeError, "labels takes a mapping of strings"),
        ({"labels": "team=a"}, TypeError, "labels takes a mapping of strings"),
        ({"labels": ["a"]}, TypeError, "labels takes a mapping of strings"),
        ({"session_settings": {"threads": 4}}, TypeError, "session_settings takes a mapping of strings"),
        ({"engine": 5}, TypeError, "engine takes a string, not 5"),
        ({"catalog": b"a"}, TypeError, "catalog takes a string, not b'a'"),
        ({"schema": ["a"]}, TypeError, "schema takes a string"),
        ({"query_id": uuid.UUID(ID)}, TypeError, "query_id takes a string, not UUID"),
        ({"on_limit": "never"}, ValueError, "on_limit takes one of 'truncate', 'fail', not 'never'"),
        ({"on_limit": 1}, ValueError, "on_limit takes one of"),
        ({"compression": "gzip"}, ValueError, "compression takes one of 'none', 'lz4', 'zstd', not 'gzip'"),
        ({"wide_integers": "float"}, ValueError, "wide_integers takes one of 'fail', 'string', 'decimal256'"),
        ({"cancel_on_disconnect": "yes"}, TypeError, "cancel_on_disconnect takes True or False, not 'yes'"),
        ({"detach": True}, TypeError, "unknown options: detach; known: named, engine, query_id"),
        ({"timeout": 5}, TypeError, "unknown options: timeout; known: .*execution_timeout"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_wrong_option_is_named(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        sent(**options)


def test_options_that_are_none_are_not_given() -> None:
    names = [name for name in DURATIONS if name != "disconnect_grace"]
    request = sent(query_id=ID, **dict.fromkeys([*names, "engine", "labels", "row_limit", "on_limit", "compression"]))
    assert request == sent(query_id=ID)


def test_names_of_choices_are_taken_in_any_case() -> None:
    assert sent(on_limit="FAIL").limits.on_limit == query_pb2.LIMIT_ACTION_FAIL
    states = list_queries(
        states=["running", QueryState.FAILED], labels=None, engine="", query_id_prefix="", page_size=5, page_token=""
    ).request.states
    assert list(states) == [query_pb2.QUERY_STATE_RUNNING, query_pb2.QUERY_STATE_FAILED]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: submit(None, None, {}), TypeError, "sql takes a string, not None"),  # type: ignore[arg-type]
        (lambda: submit(b"SELECT 1", None, {}), TypeError, "sql takes a string"),  # type: ignore[arg-type]
        (lambda: query("SELECT 1", None, {"detach": 1}), TypeError, "detach takes True or False"),  # type: ignore[typeddict-item]
        (
            lambda: list_queries(
                states="RUNNING", labels=None, engine="", query_id_prefix="", page_size=5, page_token=""
            ),
            TypeError,
            r"states takes a list: \['RUNNING'\]",
        ),
        (
            lambda: list_queries(
                states=["RUNING"], labels=None, engine="", query_id_prefix="", page_size=5, page_token=""
            ),
            ValueError,
            "states takes one of 'QUEUED', 'RUNNING', .* not 'RUNING'",
        ),
        (
            lambda: fetch_page(ID, page=None, offset=1.5, page_token="", page_size=5),  # type: ignore[arg-type]
            TypeError,
            "offset takes an integer",
        ),
        (
            lambda: fetch_page(ID, page=None, offset=None, page_token="", page_size=1 << 40),
            ValueError,
            "page_size takes an integer of 32 bits",
        ),
        (
            lambda: list_queries(submitted_after=dt.datetime(2026, 1, 1), page_size=5, page_token=""),  # noqa: DTZ001
            ValueError,
            "submitted_after takes a datetime with a zone",
        ),
        (
            lambda: list_queries(submitted_before="2026", page_size=5, page_token=""),  # type: ignore[arg-type]
            TypeError,
            "submitted_before takes a datetime with a zone",
        ),
        (
            lambda: cancel_queries({}, engine="", subject="", reason="", wait_timeout=0.0),
            ValueError,
            "labels takes at least one label",
        ),
        (
            lambda: cancel_queries(["a=b"], engine="", subject="", reason="", wait_timeout=0.0),  # type: ignore[arg-type]
            TypeError,
            "labels takes",
        ),
        (
            lambda: watch_request(states=["RUNING"], labels=None, engine="", subject="", position=""),
            ValueError,
            "states takes one of",
        ),
        (
            lambda: watch_request(states=(), labels=None, engine="", subject="", position=5),  # type: ignore[arg-type]
            TypeError,
            "position takes a string",
        ),
        (lambda: release(ID, extend_to="tomorrow"), TypeError, "until takes a datetime with a zone"),  # type: ignore[arg-type]
        (lambda: Client(5), TypeError, "target takes a string, not 5"),  # type: ignore[arg-type]
        (lambda: Client(tenant=None), TypeError, "tenant takes a string, not None"),  # type: ignore[arg-type]
        (lambda: Client(tennant="a"), TypeError, "tennant"),  # type: ignore[call-arg]
        (lambda: Client(metadata={"a": "b"}), TypeError, "metadata takes pairs"),  # type: ignore[arg-type]
        (lambda: Client(metadata=[("a", 1)]), TypeError, "metadata takes pairs"),  # type: ignore[list-item]
        *(
            (lambda key=key: Client(metadata=[(key, "b")]), ValueError, f"metadata: {key!r} cannot be a key")
            for key in ("", "X-A", "x a", "grpc-x", "ä", "a:b")
        ),
        *(
            (lambda value=value: Client(metadata=[("a", value)]), ValueError, "metadata: the value of 'a' holds")
            for value in ("b\n", " b", "b ", "ä", "b\tc")
        ),
        *(
            (lambda target=target: Client(target), ValueError, "has blanks around it or a line break; it is HOST:PORT")
            for target in ("127.0.0.1:1\n", " 127.0.0.1:1", "a\nb:1")
        ),
    ],
)
def test_a_wrong_argument_is_named(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_a_handle_is_made_of_a_string() -> None:
    with Client() as client, pytest.raises(TypeError, match="query_id takes a string, not UUID"):
        client.attach(uuid.UUID(ID))  # type: ignore[arg-type]


def test_the_asyncio_client_takes_the_same() -> None:
    async def make() -> None:
        with pytest.raises(TypeError, match="timeout takes"):
            AsyncClient(timeout="30s")  # type: ignore[arg-type]
        async with AsyncClient(timeout=SECOND) as client:
            with pytest.raises(TypeError, match="row_limit takes an integer"):
                await client.submit("SELECT 1", row_limit=1.5)  # type: ignore[arg-type]

    asyncio.run(make())
