"""A page of the docs as a reader follows it: its shell commands in order, and what it shows beside what they print.

A block of kind `sh` is run. A block of kind `text` right after it is what it prints, where `…` stands for any text
within a line, and for any lines when it is alone on its line.
"""

import asyncio
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

SHELL: Mapping[str, Callable[[str], str]] = MappingProxyType({"sh": str})

_BLOCKS = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COLOURS = re.compile(r"\x1b\[[\d;]*m")


@dataclass(frozen=True)
class Step:
    """Commands, and what they print by the page; None where it shows nothing."""

    line: int
    commands: str
    shown: str | None


def steps(page: str, kinds: Mapping[str, Callable[[str], str]] = SHELL) -> list[Step]:
    """The blocks of a page in order, of each kind that these functions make commands of."""
    found: list[Step] = []
    end = 0
    for block in _BLOCKS.finditer(page):
        kind, text = block.groups()
        if kind in kinds:
            found.append(Step(page.count("\n", 0, block.start()) + 2, kinds[kind](text), None))
        elif kind == "text" and found and not page[end : block.start()].strip():
            found[-1] = replace(found[-1], shown=text)
        end = block.end()
    return found


def agrees(shown: str, printed: str) -> bool:
    """Whether this was printed, and nothing else."""
    pattern = ""
    for line in shown.strip().splitlines():
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += re.escape(line).replace("…", ".*") + "\n"
    lines = "".join(f"{line}\n" for line in printed.strip().splitlines())
    return re.fullmatch(pattern, lines) is not None


async def follow(
    found: Sequence[Step],
    folder: Path,
    outputs: Path,
    *,
    environment: Mapping[str, str] | None = None,
    prelude: str = "",
) -> list[str]:
    """Run the steps in one shell that begins in `folder`; returns what each printed, without colours.

    Fails with the first step that fails, or that prints something else than its page shows. A variable, a function or a
    folder that one step sets is there in the next.
    """
    script = [f"set -euo pipefail\n{prelude}\n"]
    for index, step in enumerate(found):
        script.append(f"exec >{outputs}/{index}\n{step.commands}\n")
    log = outputs / "errors"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            "".join(script),
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        )
        try:
            code = await process.wait()
        finally:
            _end(process.pid)
            await process.wait()
    files = [path for index in range(len(found)) if (path := outputs / f"{index}").exists()]
    printed = [_COLOURS.sub("", path.read_text("utf-8")) for path in files]
    for index, (step, text) in enumerate(zip(found, printed, strict=False)):
        ended_well = code == 0 or index + 1 < len(printed)
        assert ended_well, _report(step, text, log)
        assert step.shown is None or agrees(step.shown, text), _report(step, text, log)
    return printed


def _end(group: int) -> None:
    """What the commands left running ends with them."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _report(step: Step, printed: str, log: Path) -> str:
    errors = log.read_text("utf-8", "replace")[-4000:]
    return f"line {step.line}:\n{step.commands}\nprinted:\n{printed}\nshown:\n{step.shown}\nstandard error:\n{errors}"
