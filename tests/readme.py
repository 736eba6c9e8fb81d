"""`python -m tests.readme [--suite]`: follow README.md, word by word, in a fresh clone of what is committed.

Its shell blocks are run in order, and what it shows below one is compared. A Python block is run in the environment of
the clone. Three things differ from what a reader does: a server goes to the background until the next one starts, `make
test` is left out unless --suite is given, as it takes longer than all the rest, and so is grpcurl where it is not to be
had.
"""

import asyncio
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.clients.toolchains import TOOLCHAINS, grpcurl
from tests.walkthrough import Step, follow, steps

ROOT = Path(__file__).parents[1]
ADDRESSES = (("127.0.0.1", 8815), ("127.0.0.1", 8816), ("127.0.0.1", 8817))
"""Where a server listens that was not asked to do otherwise."""

PRELUDE = """
server=
in_background() {
    if [ -n "$server" ]; then kill "$server"; wait "$server"; fi
    rm -f served
    "$@" >served &
    server=$!
    until grep -qs '^  try' served; do kill -0 "$server"; sleep 0.1; done
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


def in_use() -> list[str]:
    """Addresses that something else listens at."""
    found = []
    for host, port in ADDRESSES:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                found.append(f"{host}:{port}")
    return found


def page(text: str, *, suite: bool, has_grpcurl: bool) -> list[Step]:
    """The steps that can be followed here; names those that cannot."""
    found = steps(text, {"sh": in_clone if suite else without_suite, "python": python})
    left_out = [step for step in found if step.commands.startswith("grpcurl") and not has_grpcurl]
    for step in left_out:
        print(f"README.md, line {step.line}: left out, no grpcurl and no go on PATH")
    return [step for step in found if step not in left_out]


def main(arguments: list[str]) -> int:
    if taken := in_use():
        print(f"README needs a server at its usual addresses, and something else listens at {', '.join(taken)}")
        return 1
    has_grpcurl = not TOOLCHAINS["grpcurl"].missing()
    path = [os.environ["PATH"], *([str(grpcurl())] if has_grpcurl else [])]
    with tempfile.TemporaryDirectory(prefix="queryengine-readme-") as folder:
        clone, outputs, state = (Path(folder) / name for name in ("queryengine", "outputs", "state"))
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        outputs.mkdir()
        found = page((clone / "README.md").read_text("utf-8"), suite="--suite" in arguments, has_grpcurl=has_grpcurl)
        environment = {"QUERYENGINE_STATE__DIRECTORY": str(state), "PATH": os.pathsep.join(path)}
        try:
            asyncio.run(follow(found, clone, outputs, environment=environment, prelude=PRELUDE))
        except AssertionError as wrong:
            print(f"README.md, {wrong}")
            return 1
    print(f"README.md: {len(found)} blocks of commands run, and what it shows is what they print")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
