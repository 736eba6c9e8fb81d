"""Folders that belong to a table format: their files are the table only together with a log of the format.

Read as plain Parquet such a folder brings back rows that were deleted, and rows of writes that failed.
"""

import os
import re
from collections.abc import Collection, Mapping
from typing import Final

_LOGS: Final[Mapping[str, str]] = {
    "_delta_log": "a Delta Lake table",
    ".hoodie": "a Hudi table",
    "_spark_metadata": "what a Spark stream has written",
}
"""Of a format by the name of its log, which is a folder."""
_ICEBERG: Final = re.compile(r".*\.metadata\.json(\.gz)?|version-hint\.text")
_PAIMON: Final = re.compile(r"snapshot-\d+")


def table_format(folder: str, names: Collection[str]) -> str:
    """What a folder with entries of these names is in the words of a message; empty when it is no table of a format.
    Raises OSError.
    """
    for log, what in _LOGS.items():
        if log in names and os.path.isdir(f"{folder}/{log}"):  # noqa: PTH112 - A Path takes longer than the call.
            return what
    if "metadata" in names and _holds(f"{folder}/metadata", _ICEBERG):
        return "an Iceberg table"
    if {"manifest", "schema", "snapshot"}.issubset(names) and _holds(f"{folder}/snapshot", _PAIMON):
        return "a Paimon table"
    return ""


def refusal(folder: str, what: str) -> str:
    """Why the files of such a folder are not read, and what to do."""
    return (
        f"{folder} is {what}, and only its log says which rows are valid; read it through an engine that knows the "
        "format, or write its rows to a folder of plain Parquet"
    )


def _holds(folder: str, pattern: re.Pattern[str]) -> bool:
    try:
        return any(map(pattern.fullmatch, os.listdir(folder)))  # noqa: PTH208 - Names are all that is wanted.
    except NotADirectoryError:
        return False
