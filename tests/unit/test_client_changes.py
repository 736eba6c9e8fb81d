"""Watching all queries of a tenant, by both clients, against a real gRPC server that misbehaves as scripted."""

import contextlib

import grpc
import pytest

from queryengine.client import AsyncClient, Client, QueryChange, QueryEngineClientError, ServiceUnavailable
from queryengine.v1 import query_service_pb2
from queryengine.v1.result_pb2 import ROTATE_REASON_AGE, ROTATE_REASON_DRAIN, Heartbeat, StreamRotate
from tests.unit.fake_service import FakeService, Refuse, status

RESET = {"reset": query_service_pb2.WatchReset()}
BEAT = {"heartbeat": Heartbeat()}


def pushed(position: str, **event: object) -> query_service_pb2.WatchQueriesResponse:
    return query_service_pb2.WatchQueriesResponse(position=position, **event)  # type: ignore[arg-type]


def said(change: QueryChange) -> tuple[str, str]:
    return str(change.status.state) if change.status else "", change.position


END = Refuse(grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_FIELD", message="enough")
SCRIPT = [
    [pushed("1", **RESET), pushed("2", status=status("RUNNING", 1)), Refuse(grpc.StatusCode.UNAVAILABLE)],
    [pushed("3", **BEAT), pushed("4", rotate=StreamRotate(reason=ROTATE_REASON_AGE))],
    [pushed("5", rotate=StreamRotate(reason=ROTATE_REASON_DRAIN))],
    [query_service_pb2.WatchQueriesResponse(position="6")],
    [pushed("7", **RESET), pushed("8", status=status("COMPLETED", 2)), END],
]
SEEN = [("", "1"), ("RUNNING", "2"), ("", "7"), ("COMPLETED", "8")]
ASKED = ["0", "2", "4", "5", "6"]
"""The position that each stream goes on from: that of the last message, whatever it was."""


def check(fake: FakeService) -> None:
    requests = fake.requests["WatchQueries"]
    assert [request.position for request in requests] == ASKED
    assert {(request.engine, request.subject, dict(request.labels)["a"]) for request in requests} == {("e", "ann", "b")}


def test_a_watch_goes_on_after_whatever_broke_it(fake: FakeService, fake_target: str) -> None:
    fake.streams["WatchQueries"].extend(SCRIPT)
    with Client(fake_target) as client:
        changes = client.watch_queries(labels={"a": "b"}, engine="e", subject="ann", position="0")
        assert [said(next(changes)) for _ in SEEN] == SEEN
        with pytest.raises(QueryEngineClientError, match="enough"):
            next(changes)
    check(fake)


async def test_the_same_awaited(fake: FakeService, fake_target: str) -> None:
    fake.streams["WatchQueries"].extend(SCRIPT)
    async with AsyncClient(fake_target) as client:
        changes = client.watch_queries(labels={"a": "b"}, engine="e", subject="ann", position="0")
        assert [said(await anext(changes)) for _ in SEEN] == SEEN
        with pytest.raises(QueryEngineClientError, match="enough"):
            await anext(changes)
    check(fake)


def test_a_watch_that_is_left_ends_its_stream(fake: FakeService, fake_target: str) -> None:
    fake.streams["WatchQueries"].append([pushed("1", **RESET), pushed("2", **RESET), pushed("3", **RESET)])
    with Client(fake_target) as client, contextlib.closing(client.watch_queries()) as changes:  # type: ignore[type-var]
        assert said(next(changes)) == ("", "1")
    assert len(fake.requests["WatchQueries"]) == 1


def test_nobody_who_answers_is_reported(fake: FakeService, fake_target: str) -> None:
    gone = Refuse(grpc.StatusCode.UNAVAILABLE)
    fake.streams["WatchQueries"].extend([[gone]] * 100)
    with Client(fake_target, give_up_after=0.2) as client, pytest.raises(ServiceUnavailable):
        next(iter(client.watch_queries()))
