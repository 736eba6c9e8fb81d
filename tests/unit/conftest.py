"""Fixtures of the client's and the command line's tests."""

from collections.abc import Iterator

import pytest

from tests.unit.fake_service import FakeService, serving


@pytest.fixture
def fake() -> FakeService:
    return FakeService()


@pytest.fixture
def fake_target(fake: FakeService) -> Iterator[str]:
    """Host and port that the fake answers on."""
    with serving(fake) as address:
        yield address
