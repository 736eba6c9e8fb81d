"""Texts from elsewhere are cut where they enter: no text of an engine makes a record, a reply or a log line large."""

import json
import logging

import pytest

from queryengine.domain.errors import Failure, Position, Reason, error
from queryengine.domain.texts import shortened, whole_or_none
from queryengine.engines.base import Progress
from queryengine.telemetry.logs import JsonFormatter, TextFormatter

HUGE = "€" * 10_000_000


@pytest.mark.parametrize(
    ("text", "bytes_max", "expected"),
    [
        ("", 4, ""),
        ("abcd", 4, "abcd"),
        ("abcde", 4, "a…"),
        ("€€", 6, "€€"),
        ("€€a", 6, "€…"),
        ("a€€€", 6, "a…"),
        ("\ud800", 4, "?"),
        ("a\udfffb", 4, "a?b"),
        ("\x00\n", 4, "\x00\n"),
    ],
)
def test_a_text_is_cut_between_characters(text: str, bytes_max: int, expected: str) -> None:
    assert shortened(text, bytes_max) == expected
    assert len(expected.encode()) <= bytes_max


def test_an_address_is_whole_or_left_out() -> None:
    assert whole_or_none("http://a/€", 12) == "http://a/€"
    assert whole_or_none("http://a/€", 11) == ""


def test_a_failure_is_never_large() -> None:
    made = error(Reason.ENGINE_ERROR, HUGE, sql_state=HUGE, position=Position(1, 1), name=HUGE).failure
    stored = Failure.from_json({"reason": "ENGINE_ERROR", "message": HUGE, "metadata": {"name": HUGE}})
    for failure in (made, stored, Failure(Reason.ENGINE_ERROR, HUGE, {"name": HUGE}, HUGE)):
        assert failure.message.startswith("€€€")
        assert 4000 < len(failure.message.encode()) <= 4096
        assert len(failure.metadata["name"].encode()) <= 256
        assert len(failure.sql_state.encode()) <= 16
        assert Failure.from_json(failure.to_json()) == failure
        # No character takes more bytes in JSON than an escape.
        assert len(json.dumps(failure.to_json())) < 20_000


def test_what_an_engine_calls_an_execution_is_never_large() -> None:
    progress = Progress(engine_state=HUGE, engine_query_id=HUGE, engine_query_url=HUGE)
    assert len(progress.engine_state.encode()) <= 512
    assert len(progress.engine_query_id.encode()) <= 512
    assert progress.engine_query_url == ""
    usual = {"engine_state": "RUNNING", "engine_query_id": "x" * 512, "engine_query_url": "http://" + "x" * 2000}
    assert all(getattr(Progress(**usual), name) == text for name, text in usual.items())


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_line_of_the_log_is_never_large(formatter: logging.Formatter) -> None:
    with pytest.raises(KeyError) as raised:
        {}[HUGE]
    cause = raised.value
    record = logging.LogRecord("name", logging.ERROR, "", 1, "%s", (HUGE,), (type(cause), cause, cause.__traceback__))
    text = formatter.format(record)
    assert len(text) < 200_000
    assert "test_texts.py" in text
    assert "KeyError: " in text
