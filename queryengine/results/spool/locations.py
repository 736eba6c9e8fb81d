"""Spools by location, the text that a process is given: the path of a folder."""

from pathlib import Path

from queryengine.results.spool.base import Spool
from queryengine.results.spool.local import LocalSpool


def spool_at(location: str) -> Spool:
    """The spool of a location, in a process that did not make it. Does no I/O."""
    return LocalSpool(Path(location))


def folder_of(location: str) -> str:
    """The folder that a confined process must be let into to use the spool; empty when it needs none."""
    folder = spool_at(location).folder if location else None
    return str(folder) if folder is not None else ""
