"""Views over the files of a folder, as engines report them and clients read them."""

from enum import StrEnum


class ViewChangeKind(StrEnum):
    """What has become of a view over a file or a folder of files."""

    ADDED = "ADDED"
    """It can be read, and could not before."""
    CHANGED = "CHANGED"
    """Its files are other ones."""
    REMOVED = "REMOVED"
    UNREADABLE = "UNREADABLE"
    """It cannot be read, whether or not it could before."""
