"""What a process has in memory."""

import re
from pathlib import Path


def memory_holds(pid: int, text: bytes) -> bool:
    """Whether a process has the text in memory that it can write to."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if match is not None:
                begin, end = (int(part, 16) for part in match.groups())
                try:
                    memory.seek(begin)
                    if text in memory.read(end - begin):
                        return True
                except (OSError, OverflowError):
                    continue
    return False
