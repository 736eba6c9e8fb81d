"""Positions say nothing to whoever gets them, and nobody but their log makes them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from queryengine.live.positions import Positions


@pytest.mark.parametrize("number", [0, 1, 255, 256, 1 << 40, (1 << 64) - 1])
def test_a_number_comes_back(number: int) -> None:
    positions = Positions()
    assert positions.number(positions.text(number)) == number
    assert len(positions.text(number)) == 47


def test_the_same_number_is_written_differently_each_time() -> None:
    """Or two equal positions would say that nothing has changed between them."""
    positions = Positions()
    assert len({positions.text(7) for _ in range(100)}) == 100


def test_of_a_text_no_bit_can_be_changed() -> None:
    """Or trying whether a position is known would tell how large the number is."""
    positions = Positions()
    name, _, rest = positions.text(5).partition(".")
    sealed = bytearray(urlsafe_b64decode(rest + "=="))
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        assert positions.number(f"{name}.{urlsafe_b64encode(changed).rstrip(b'=').decode()}") is None
    for length in range(len(sealed)):
        assert positions.number(f"{name}.{urlsafe_b64encode(sealed[:length]).decode()}") is None
    assert positions.number(f"{'0' * 16}.{rest}") is None
    assert positions.number("é.é") is None
