"""Engine types by name: what is unknown, and what a missing driver says."""

import re
import sys

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.registry import ENGINE_TYPES, EXTRAS, engine_class


@pytest.mark.parametrize("name", sorted(EXTRAS))
def test_a_missing_driver_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, ENGINE_TYPES[name].partition(":")[0], None)
    with pytest.raises(QueryEngineError) as caught:
        engine_class(name)
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE
    command = caught.value.failure.message.rpartition("; ")[2]
    # The driver itself, as this package need not be on any index.
    assert re.fullmatch(rf"pip install '[a-z-]*{name}[a-z-]*>=[\d.]+'", command)


def test_an_unknown_type_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'oracle'; known: .*duckdb.*trino"):
        engine_class("oracle")
