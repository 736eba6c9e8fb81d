"""Paths as settings give them."""

from pathlib import Path


def absolute(path: Path) -> Path:
    """With `~` as the home folder, and independent of the folder that a process is started in. Raises ValueError where
    no home is known.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError as cause:
        raise ValueError(f"{cause} Set an absolute path") from cause
