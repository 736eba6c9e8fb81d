"""The guard around blocking driver calls."""

import threading

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.kit.interrupting import Interruptible


def test_an_interrupt_is_repeated_until_the_call_returns() -> None:
    heard = threading.Event()
    inside = threading.Event()
    interrupts = 0

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts == 3:
            heard.set()

    calls = Interruptible(interrupt)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with calls.call():
                inside.set()
                assert heard.wait(10)
        except QueryEngineError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(10)
    calls.stop()
    thread.join(10)
    assert interrupts >= 3
    assert [error.failure.reason for error in errors] == [Reason.QUERY_CANCELLED]


def test_without_a_call_nothing_is_interrupted() -> None:
    calls = Interruptible(lambda: pytest.fail("interrupted"))
    with calls.call():
        pass
    calls.stop()
    calls.stop()


def test_no_call_starts_after_a_stop() -> None:
    calls = Interruptible(lambda: None)
    calls.stop()
    with pytest.raises(QueryEngineError) as caught, calls.call():
        pytest.fail("the call began")
    assert caught.value.failure.reason is Reason.QUERY_CANCELLED


def test_a_failure_of_its_own_passes() -> None:
    calls = Interruptible(lambda: None)
    with pytest.raises(ZeroDivisionError), calls.call():
        _ = 1 / 0
    with calls.call():
        pass


def test_a_failure_by_the_interrupt_keeps_its_cause() -> None:
    inside, stopping = threading.Event(), threading.Event()
    calls = Interruptible(stopping.set)
    thread = threading.Thread(target=lambda: inside.wait(10) and calls.stop())
    thread.start()

    def interrupted() -> None:
        with calls.call():
            inside.set()
            assert stopping.wait(10)
            raise OSError("interrupted")

    with pytest.raises(QueryEngineError) as caught:
        interrupted()
    thread.join(10)
    assert isinstance(caught.value.__cause__, OSError)
