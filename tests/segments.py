"""The files of a stored result, for tests that damage them."""

from pathlib import Path

from queryengine.results.segment import PageEntry, load
from queryengine.results.source import SpooledPages
from queryengine.results.spool.local import LocalSpool


def segment_path(folder: Path, segment: int) -> Path:
    """A segment in the folder of its result."""
    return folder / f"{segment:05d}.seg"


def pages_of(folder: Path) -> tuple[PageEntry, ...]:
    """The pages that are in the folder of a result: `…/<tenant hash>/<query id>/<attempt>`."""
    return load(SpooledPages(LocalSpool(folder.parents[2]), "/".join(folder.parts[-3:]))).pages
