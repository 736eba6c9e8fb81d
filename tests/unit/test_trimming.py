"""Memory given back after a peak: when there was one, and nothing is at work."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from queryengine.app import trimming
from queryengine.app.trimming import GROWTH_BYTES, Trimming, resident_bytes
from queryengine.codec.memory import give_back_malloc_memory

MIB = 1 << 20


@pytest.mark.parametrize(
    ("seen_mib", "is_idle", "given"),
    [
        ([100, 100], True, 0),
        ([100, 164], True, 0),
        ([100, 165], True, 1),
        ([100, 165], False, 0),
        ([100, 1000, 160], True, 1),
        ([300, 100, 165], True, 1),
        ([100, 300, 250, 260], True, 1),
    ],
)
async def test_memory_is_given_back_after_a_peak_when_idle(
    monkeypatch: pytest.MonkeyPatch, *, seen_mib: list[int], is_idle: bool, given: int
) -> None:
    """Each look sees the next size; what is left after memory was given back is the last one seen."""
    sizes = [mib * MIB for mib in seen_mib]
    now = [sizes[0]]
    monkeypatch.setattr(trimming, "resident_bytes", lambda: now[0])
    calls = []
    with ThreadPoolExecutor(1) as threads:
        keeper = Trimming(is_idle=lambda: is_idle, give_back=lambda: not calls.append(0), threads=threads)
        for size in sizes[1:]:
            now[0] = size
            await keeper.look()
    assert GROWTH_BYTES == 64 * MIB
    assert len(calls) == given


def test_the_memory_of_this_process_is_known_and_can_be_given_back() -> None:
    assert resident_bytes() > MIB
    give_back_malloc_memory()
