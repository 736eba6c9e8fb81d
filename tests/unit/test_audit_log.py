"""Audit records are written in order and in groups; what cannot be written refuses the call, or is kept or counted."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from queryengine.domain.audit import Decision, Planned, Verdict
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.identity import Principal, Role
from queryengine.domain.lifecycle import QueryState
from queryengine.telemetry.audit import AuditLog, AuditRules
from queryengine.telemetry.metrics import Metrics
from tests.support import until
from tests.unit.core_values import HandClock, query

pytestmark = pytest.mark.asyncio

ANN = Principal(tenant="t", subject="ann", roles=frozenset({Role.SUBMIT, Role.READ}), authenticator="jwt")


class Disk:
    """A sink that a test stops or breaks."""

    def __init__(self) -> None:
        self.groups: list[bytes] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.is_writing = False
        self.is_full = False
        self.is_closed = False

    def append(self, data: bytes) -> None:
        self.is_writing = True
        assert self.goes_on.wait(20)
        if self.is_full:
            raise OSError(28, "No space left on device")
        self.groups.append(data)

    def reopen(self) -> None:
        self.groups.append(b"")

    def close(self) -> None:
        self.is_closed = True

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in b"".join(self.groups).splitlines()]

    @property
    def ids(self) -> list[str]:
        return [record["query_id"] for record in self.records]


class Setup:
    def __init__(self) -> None:
        self.disk = Disk()
        self.metrics = Metrics([], "1")
        self.log = AuditLog(self.disk, AuditRules(), server="s", clock=HandClock(), metrics=self.metrics)

    def counted(self, outcome: str) -> float | None:
        return self.metrics.registry.get_sample_value("queryengine_audit_records_total", {"outcome": outcome})


@pytest_asyncio.fixture
async def given() -> AsyncIterator[Setup]:
    made = Setup()
    try:
        yield made
    finally:
        made.disk.goes_on.set()
        made.disk.is_full = False
        await made.log.close()
        assert made.disk.is_closed


def decision(query_id: str, **changes: Any) -> Decision:
    made = Decision(principal=ANN, peer="ipv4:192.0.2.1:5", rpc="Submit", query_id=query_id, verdict=Verdict.ALLOWED)
    return replace(made, **changes)


async def refused(waiting: Any) -> None:
    with pytest.raises(QueryEngineError) as refusal:
        await waiting
    assert refusal.value.failure.reason is Reason.AUDIT_UNAVAILABLE
    assert refusal.value.failure.retryable


async def test_a_record_says_who_asked_for_what(given: Setup) -> None:
    planned = Planned(
        engine="pg", sql="SELECT 'secret'", fingerprint="f", tables={("b",), ("a", "c")}, row_policies=("own",)
    )
    await given.log.write(decision("q", planned=planned))
    record = given.disk.records[0]
    assert record == {
        "time": "2027-01-15T08:00:00.000000Z",
        "server": "s",
        "sequence": 1,
        "event": "call",
        "verdict": "allowed",
        "rpc": "Submit",
        "tenant": "t",
        "subject": "ann",
        "roles": ["read", "submit"],
        "authenticator": "jwt",
        "peer": "ipv4:192.0.2.1:5",
        "query_id": "q",
        "engine": "pg",
        "statement": "f",
        "tables": ["a.c", "b"],
        "row_policies": ["own"],
    }
    given.log.adopt(AuditRules(with_text=True))
    await given.log.write(decision("q", planned=planned, verdict=Verdict.REFUSED, reason="ROLE_MISSING"))
    record = given.disk.records[1]
    assert (record["sequence"], record["sql"], record["verdict"]) == (2, "SELECT 'secret'", "refused")
    assert record["reason"] == "ROLE_MISSING"


async def test_an_end_says_what_came_of_a_query(given: Setup) -> None:
    ended = query("t1", state=QueryState.COMPLETED, rows=5, bytes=70, attempt=2)
    given.log.ended(ended)
    failure = Failure(Reason.ENGINE_ERROR, "canary")
    given.log.ended(query("t2", state=QueryState.FAILED, failure=failure))
    await until(lambda: len(given.disk.records) == 2)
    first, second = given.disk.records
    assert (first["event"], first["state"], first["rows"], first["bytes"]) == ("query_end", "COMPLETED", 5, 70)
    assert (first["tenant"], first["query_id"], first["attempt"]) == ("t", "t1", 2)
    assert (second["state"], second["reason"], second["rows"]) == ("FAILED", "ENGINE_ERROR", 0)
    assert "canary" not in str(second)


@pytest.mark.parametrize("text", ["\n", "\r", "\u2028", "\x00", '"}', "\ud800"])
async def test_no_text_breaks_out_of_its_line(given: Setup, text: str) -> None:
    await given.log.write(decision(f"a{text}b"))
    data = b"".join(given.disk.groups)
    assert data.count(b"\n") == 1
    assert data.isascii()
    assert given.disk.ids == [f"a{text}b"]


async def test_records_that_come_while_one_is_written_are_one_group_in_their_order(given: Setup) -> None:
    given.disk.goes_on.clear()
    calls = [asyncio.create_task(given.log.write(decision(str(number)))) for number in range(50)]
    await asyncio.sleep(0)
    given.log.ended(query("t50"))
    given.disk.goes_on.set()
    await asyncio.gather(*calls)
    await until(lambda: len(given.disk.ids) == 51)
    assert given.disk.ids == [*map(str, range(50)), "t50"]
    assert len(given.disk.groups) <= 3
    assert [record["sequence"] for record in given.disk.records] == list(range(1, 52))
    assert given.counted("written") == 51


async def test_a_call_without_its_record_is_refused_and_leaves_none(
    given: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    given.disk.is_full = True
    await refused(given.log.write(decision("1")))
    await refused(given.log.write(decision("2")))
    assert [each.message for each in caplog.records] == [
        "audit records cannot be written, calls are refused: No space left on device"
    ]
    given.disk.is_full = False
    await given.log.write(decision("3"))
    assert given.disk.ids == ["3"]
    assert "written again" in caplog.text
    # The gap shows that calls were refused.
    assert [record["sequence"] for record in given.disk.records] == [3]
    assert (given.counted("written"), given.counted("lost")) == (1, 2)


async def test_what_has_happened_is_recorded_later(given: Setup) -> None:
    given.disk.is_full = True
    await given.log.require_working()
    await refused(given.log.write_done(decision("1", rpc="Cancel")))
    given.log.ended(query("t2"))
    # From here on nothing happens without a record.
    await refused(given.log.require_working())
    given.disk.is_full = False
    await given.log.require_working()
    assert given.disk.ids == ["1", "t2"]
    assert given.counted("lost") == 0


async def test_what_is_kept_is_written_without_another_call(given: Setup) -> None:
    given.disk.is_full = True
    given.log.ended(query("t1"))
    await until(lambda: given.log.is_failing)
    given.disk.is_full = False
    await until(lambda: given.disk.ids == ["t1"])
    assert not given.log.is_failing


async def test_calls_go_on_where_the_rules_say_so(given: Setup, caplog: pytest.LogCaptureFixture) -> None:
    given.log.adopt(AuditRules(refuses=False, buffer_bytes=3000))
    given.disk.is_full = True
    for number in range(20):
        await given.log.require_working()
        await given.log.write(decision(str(number)))
    await until(lambda: given.log.is_failing)
    assert "calls go on" in caplog.text
    lost = given.counted("lost")
    assert lost is not None
    assert 0 < lost < 20
    given.disk.is_full = False
    await until(lambda: len(given.disk.ids) == 20 - lost)
    assert given.disk.ids == [str(number) for number in range(20 - int(lost))]


async def test_records_that_wait_are_bounded(given: Setup) -> None:
    given.log.adopt(AuditRules(buffer_bytes=1000))
    given.disk.goes_on.clear()
    calls = [asyncio.create_task(given.log.write(decision(str(number)))) for number in range(20)]
    await asyncio.sleep(0)
    given.log.ended(query("t1"))
    await until(lambda: sum(each.done() for each in calls) > 10)
    given.disk.goes_on.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in outcomes} == {type(None), QueryEngineError}
    assert len(b"".join(given.disk.groups)) <= 1000
    assert len(given.disk.ids) == outcomes.count(None)
    await given.log.write(decision("again"))


async def test_a_disk_that_hangs_refuses_in_time(given: Setup) -> None:
    given.log.adopt(AuditRules(wait_seconds=0.05))
    given.disk.goes_on.clear()
    first = asyncio.create_task(given.log.write(decision("1")))
    await until(lambda: given.disk.is_writing)
    await refused(given.log.write(decision("2")))
    await refused(first)
    given.disk.goes_on.set()
    given.log.adopt(AuditRules())
    await given.log.write(decision("3"))
    # The one that was being written when its call was given up has a record; the other one was not begun.
    assert given.disk.ids == ["1", "3"]


async def test_a_caller_that_leaves_disturbs_nobody(given: Setup) -> None:
    given.disk.goes_on.clear()
    calls = [asyncio.create_task(given.log.write(decision(str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    calls[0].cancel()
    calls[1].cancel()
    given.disk.goes_on.set()
    await calls[2]
    assert "2" in given.disk.ids
    with pytest.raises(asyncio.CancelledError):
        await calls[0]


async def test_the_end_writes_what_waits() -> None:
    made = Setup()
    made.disk.goes_on.clear()
    for number in range(5):
        made.log.ended(query(f"t{number}"))
    closing = asyncio.create_task(made.log.close())
    await asyncio.sleep(0)
    made.disk.goes_on.set()
    await closing
    assert made.disk.ids == [f"t{number}" for number in range(5)]
    broken = Setup()
    broken.disk.is_full = True
    broken.log.ended(query("t1"))
    await broken.log.close()
    assert broken.disk.is_closed
    assert broken.counted("lost") == 1
