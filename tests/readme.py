"""`python -m tests.readme [--suite]`: follow README.md, word by word, in a fresh clone of what is committed.

Its shell blocks are run in order, and what it shows below one is compared. A Python block is run in the environment of
the clone, and a YAML block becomes the file that its first line names. Two things differ from what a reader does: a
server goes to the background until the next one starts, and `make test` is left out unless --suite is given, as it
takes longer than all the rest.
"""

import asyncio
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.walkthrough import follow, steps

ROOT = Path(__file__).parents[1]
ADDRESSES = (("127.0.0.1", 8815), ("127.0.0.1", 8816), ("127.0.0.1", 8817))
"""Where a server listens that was not asked to do otherwise."""

PRELUDE = """
server=
in_background() {
    if [ -n "$server" ]; then kill "$server"; wait "$server"; fi
    "$@" >served &
    server=$!
    until grep -q '^  try' served; do kill -0 "$server"; sleep 0.1; done
    cat served
}
"""


def in_clone(commands: str) -> str:
    """Commands of the page, where a server does not keep the terminal."""
    return re.sub(r"^(\S*queryengine serve\b)", r"in_background \1", commands, flags=re.MULTILINE)


def without_suite(commands: str) -> str:
    return in_clone(re.sub(r"^make test\b.*\n", "", commands, flags=re.MULTILINE))


def python(program: str) -> str:
    return f".venv/bin/python - <<'PYTHON'\n{program}PYTHON\n"


def file(content: str) -> str:
    """A file that its first line names."""
    name = content.split()[1].rstrip(",:")
    return f"cat >{name} <<'FILE'\n{content}FILE\n"


def in_use() -> list[str]:
    """Addresses that something else listens at."""
    found = []
    for host, port in ADDRESSES:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                found.append(f"{host}:{port}")
    return found


def main(arguments: list[str]) -> int:
    if taken := in_use():
        print(f"README needs a server at its usual addresses, and something else listens at {', '.join(taken)}")
        return 1
    with tempfile.TemporaryDirectory(prefix="queryengine-readme-") as folder:
        clone, outputs, state = (Path(folder) / name for name in ("queryengine", "outputs", "state"))
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        outputs.mkdir()
        shell = in_clone if "--suite" in arguments else without_suite
        page = steps((clone / "README.md").read_text("utf-8"), {"sh": shell, "python": python, "yaml": file})
        environment = {"QUERYENGINE_STATE__DIRECTORY": str(state)}
        try:
            asyncio.run(follow(page, clone, outputs, environment=environment, prelude=PRELUDE))
        except AssertionError as wrong:
            print(f"README.md, {wrong}")
            return 1
    print(f"README.md: {len(page)} blocks of commands run, and what it shows is what they print")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
