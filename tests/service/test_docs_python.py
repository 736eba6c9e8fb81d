"""The Python in the documents is a program that runs against a server as it stands there."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from queryengine.app.service import Service
from tests.support import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADDRESS = "127.0.0.1:8815"
PROGRAMS = {
    f"{name}, line {text.count(chr(10), 0, found.start()) + 1}": found[1]
    for name in ("README.md", "docs/python.md", "docs/named-queries.md")
    for text in [(ROOT / name).read_text(encoding="utf-8")]
    for found in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
}


async def test_there_are_programs() -> None:
    assert len(PROGRAMS) >= 5


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
async def test_a_program_runs(service: Service, tmp_path: Path, program: str) -> None:
    assert ADDRESS in program
    path = tmp_path / "program.py"
    path.write_text(program.replace(ADDRESS, service.address), encoding="utf-8")
    command = (sys.executable, "-W", "error", path)
    environment = {"PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, env=environment, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
