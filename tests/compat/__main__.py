"""`python -m tests.compat`: every type of every engine, read by every consumer, as a table in docs/engines.md.

A consumer whose toolchain is not on the machine is named and left out, and the document then stays as it is. The exit
code is 1 when the table was not the one of the document.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.compat.forms import form, same_form
from tests.compat.pages import ENGINES, Sample, samples
from tests.compat.python import CONSUMERS, verdict
from tests.compat.table import DOCUMENT, table, with_table
from tests.compat.toolchains import TOOLCHAINS
from tests.servers.server import stop_all


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"Reading the types of {', '.join(ENGINES)}: about two minutes", flush=True)
        try:
            found = list(samples(folder, ENGINES))
        finally:
            stop_all()
        verdicts = {consumer: [verdict(consumer, sample) for sample in found] for consumer in CONSUMERS}
        pages = folder / "pages"
        pages.mkdir()
        for number, sample in enumerate(found):
            sample.write(pages / f"{number:04}.arrow")
        for consumer, toolchain in TOOLCHAINS.items():
            if missing := toolchain.missing():
                print(f"skipped: {consumer}, {missing} is not on this machine")
                continue
            print(f"Building and running {consumer}: some minutes the first time", flush=True)
            verdicts[consumer] = judged(found, toolchain.lines(pages))
    made = table(found, verdicts)
    print(made)
    if set(verdicts) != {*CONSUMERS, *TOOLCHAINS}:
        return 0
    document = DOCUMENT.read_text()
    changed = with_table(document, made)
    DOCUMENT.write_text(changed)
    return int(changed != document)


def judged(found: Sequence[Sample], lines: Mapping[str, str]) -> list[str]:
    """For each sample, empty when the program has read its values; else what is wrong, in a few words."""
    return [
        judge(sample, lines.get(f"{number:04}.arrow", "ERROR wrote nothing")) for number, sample in enumerate(found)
    ]


def judge(sample: Sample, line: str) -> str:
    if line.startswith("ERROR "):
        return line.removeprefix("ERROR ")
    read = json.loads(line)
    if len(read) != len(sample.column):
        return f"reads {len(read)} values of {len(sample.column)}"
    for sent, value in zip(map(form, sample.column), read, strict=True):
        if not same_form(sent, value, sample.column.type):
            return f"reads {value} for {sent}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
