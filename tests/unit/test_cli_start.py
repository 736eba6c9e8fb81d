"""What a command imports before it does anything: start-up is quick because of what is left out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from queryengine.cli.exits import ExitCode

# Typer itself brings pydantic where it reads the options of a command.
HEAVY = {
    "alembic",
    "duckdb",
    "google.protobuf",
    "grpc",
    "numpy",
    "pandas",
    "prompt_toolkit",
    "pyarrow",
    "queryengine.client",
    "rich",
    "sqlalchemy",
    "sqlglot",
    "yaml",
}
NEEDED_TO_CALL = {"google.protobuf", "grpc", "pyarrow", "queryengine.client", "rich"}

RUN = """
import sys
from queryengine.__main__ import run
sys.argv = ["queryengine", *sys.argv[1:]]
try:
    run()
finally:
    print("imported:", *sys.modules, file=sys.stderr)
"""


def imported_by(*arguments: str) -> set[str]:
    environment = os.environ | {"QUERYENGINE_TARGET": "127.0.0.1:1", "XDG_CONFIG_HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("imported: "))
    return set(line.split()[1:])


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["sql", "--help"], ["ps", "--help"], ["engines", "refresh", "--help"]]
)
def test_help_needs_nothing(arguments: list[str]) -> None:
    assert not imported_by(*arguments) & HEAVY


@pytest.mark.parametrize("arguments", [["sql", "SELECT 1"], ["ps"], ["fetch", "1"]])
def test_a_call_needs_the_client_and_no_part_of_the_server(arguments: list[str]) -> None:
    found = imported_by(*arguments)
    assert found & HEAVY == NEEDED_TO_CALL
    assert not found & {
        "pyarrow.parquet",
        "pyarrow.csv",
        "queryengine.accepting",
        "queryengine.workers",
        "queryengine.edges",
    }


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["config", "client"]])
def test_a_full_disk_behind_standard_output_is_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "queryengine", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "error: cannot write to standard output: No space left on device\n"
    assert done.returncode == ExitCode.FAILED
