"""gRPC's traceback for a header that is not text becomes one line, now and then."""

import logging

import pytest

from queryengine.telemetry.logs import HeaderLines, TextFormatter


def record(data: bytes) -> logging.LogRecord:
    """What gRPC logs when it cannot decode these bytes."""
    with pytest.raises(UnicodeDecodeError) as raised:
        data.decode()
    cause = raised.value
    told = (type(cause), cause, cause.__traceback__)
    return logging.LogRecord("grpc._cython.cygrpc", logging.ERROR, "", 1, "Invalid encoding on %s", (data,), told)


def test_one_line_a_minute_that_counts_the_others() -> None:
    moments = [0.0]
    lines = HeaderLines(lambda: moments[-1])
    said = []
    for moment in (0.0, 0.1, 59.9, 60.0, 60.1, 200.0):
        moments.append(moment)
        each = record(b"\xff\n")
        if lines.filter(each):
            said.append(TextFormatter().format(each).partition(": ")[2])
    assert said == [
        r"a call has a header whose bytes are not text: b'\xff\n'",
        r"a call has a header whose bytes are not text: b'\xff\n'; 2 more like it since the last such line",
        r"a call has a header whose bytes are not text: b'\xff\n'; 1 more like it since the last such line",
    ]


def test_a_long_header_makes_a_short_line() -> None:
    each = record(b"\xff" * 16_000)
    assert HeaderLines().filter(each)
    assert len(TextFormatter().format(each)) < 400


def test_everything_else_passes() -> None:
    other = logging.LogRecord("grpc._cython.cygrpc", logging.ERROR, "", 1, "something else", (), None)
    lines = HeaderLines()
    assert all(lines.filter(other) for _ in range(3))
    assert other.getMessage() == "something else"
