"""The guard around blocking driver calls."""

import threading

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.kit.interrupting import Interruptible


def stopped(calls: Interruptible, heard: threading.Event) -> list[Reason]:
    """What a call that ends once it is heard was ended by, when this thread stops it."""
    inside, reasons = threading.Event(), list[Reason]()

    def work() -> None:
        try:
            calls.run(lambda: (inside.set(), heard.wait(10)))
        except QueryEngineError as error:
            reasons.append(error.failure.reason)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(10)
    calls.stop()
    thread.join(10)
    return reasons


def test_an_interrupt_is_repeated_until_the_call_returns() -> None:
    heard = threading.Event()
    interrupts = 0

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts == 3:
            heard.set()

    calls = Interruptible(interrupt)
    reasons = stopped(calls, heard)
    assert interrupts >= 3
    assert reasons == [Reason.QUERY_CANCELLED]


def test_without_a_call_nothing_is_interrupted() -> None:
    calls = Interruptible(lambda: pytest.fail("interrupted"))
    assert calls.run(max, 1, 2) == 2
    calls.stop()
    calls.stop()


def test_no_call_starts_after_a_stop() -> None:
    calls = Interruptible(lambda: None)
    calls.stop()
    with pytest.raises(QueryEngineError) as caught:
        calls.run(pytest.fail, "the call began")
    assert caught.value.failure.reason is Reason.QUERY_CANCELLED


def test_a_failure_of_its_own_passes() -> None:
    calls = Interruptible(lambda: None)
    with pytest.raises(ZeroDivisionError):
        calls.run(divmod, 1, 0)
    assert calls.run(max, 1, 2) == 2


def test_a_failure_by_the_interrupt_keeps_its_cause() -> None:
    inside, stopping = threading.Event(), threading.Event()
    calls = Interruptible(stopping.set)
    thread = threading.Thread(target=lambda: inside.wait(10) and calls.stop())
    thread.start()

    def interrupted() -> None:
        inside.set()
        assert stopping.wait(10)
        raise OSError("interrupted")

    with pytest.raises(QueryEngineError) as caught:
        calls.run(interrupted)
    thread.join(10)
    assert isinstance(caught.value.__cause__, OSError)


def test_an_interrupt_that_fails_is_repeated(caplog: pytest.LogCaptureFixture) -> None:
    heard = threading.Event()
    interrupts = 0

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts < 3:
            raise OSError("not heard")
        heard.set()

    calls = Interruptible(interrupt)
    reasons = stopped(calls, heard)
    assert reasons == [Reason.QUERY_CANCELLED]
    assert [record.message for record in caplog.records] == [
        "an interrupt of a running query failed; it is repeated"
    ], "logged once"
