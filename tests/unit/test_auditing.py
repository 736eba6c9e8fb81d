"""The link of the chain that has refusals recorded."""

from types import SimpleNamespace
from typing import Any

import pytest
from grpc._cython import cygrpc

from queryengine.domain.audit import Decision
from queryengine.domain.errors import Reason, error
from queryengine.domain.identity import NOBODY
from queryengine.edges.grpc.auditing import auditing
from queryengine.edges.grpc.call import Caller

pytestmark = pytest.mark.asyncio


class Log:
    """Keeps decisions."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    async def write_done(self, decision: Decision) -> None:
        self.decisions.append(decision)


@pytest.mark.parametrize(
    ("failure", "reasons"),
    [
        (error(Reason.ROLE_MISSING, "x"), ["ROLE_MISSING"]),
        (ZeroDivisionError(), ["INTERNAL_ERROR"]),
        (cygrpc.UsageError(), []),
        (error(Reason.AUDIT_UNAVAILABLE, "x"), []),
    ],
)
async def test_what_ends_a_call_is_recorded_and_goes_on(failure: Exception, reasons: list[str]) -> None:
    log: Any = Log()
    method, context = SimpleNamespace(name="Submit"), SimpleNamespace(peer=lambda: "unix:")
    call: Any = SimpleNamespace(method=method, context=context, caller=Caller(NOBODY, lambda: None))

    async def fail(_: Any) -> None:
        raise failure

    with pytest.raises(type(failure)):
        await auditing(log)(call, fail)
    assert [each.reason for each in log.decisions] == reasons
