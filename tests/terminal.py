"""A command on a terminal of its own, as a person runs it: keys go in, a screen's bytes come out."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from tests.support import HANG_SECONDS, ROOT

LAUNCH = """
import os, sys
os.setsid()
# The first terminal that the leader of a session opens becomes the one that controls it.
terminal = os.open(sys.argv[1], os.O_RDWR)
for descriptor in (0, 1, 2):
    os.dup2(terminal, descriptor)
os.close(terminal)
os.execv(sys.argv[2], sys.argv[2:])
"""
SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\-_=>])")
CURSOR_QUESTION, CURSOR_ANSWER = "\x1b[6n", b"\x1b[1;1R"


class Terminal:
    """What runs on it, and what it has shown so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", master: int) -> None:
        self.process = process
        self.shown = ""
        """Without the sequences that move the cursor and set colours."""
        self._master: int | None = master
        self._raw = ""
        self._seen = 0

    def type(self, text: str) -> None:
        assert self._master is not None
        os.write(self._master, text.encode())

    def await_text(self, text: str) -> None:
        """Until it is shown, after what was awaited before."""
        deadline = time.monotonic() + HANG_SECONDS
        while text not in self.shown[self._seen :]:
            assert time.monotonic() < deadline, f"{text!r} was not shown: {self.shown[self._seen :]!r}"
            assert self._read(), f"it ended without {text!r}: {self.shown!r}"
        self._seen = self.shown.index(text, self._seen) + len(text)

    def await_end(self) -> int:
        """The exit code."""
        while self._read():
            pass
        return self.process.wait(HANG_SECONDS)

    def hang_up(self) -> None:
        """As when its window is closed. Idempotent."""
        master, self._master = self._master, None
        if master is not None:
            os.close(master)

    def _read(self) -> bool:
        """Take what has come, or wait for a moment; False at the end."""
        assert self._master is not None
        if not select.select([self._master], [], [], 1.0)[0]:
            return self.process.poll() is None
        try:
            part = os.read(self._master, 65_536).decode(errors="replace")
        except OSError:
            return False
        self._raw += part
        if CURSOR_QUESTION in part:
            os.write(self._master, CURSOR_ANSWER)
        self.shown = SEQUENCES.sub("", self._raw).replace("\r", "")
        return True


@contextmanager
def on_a_terminal(command: list[str], *, environment: Mapping[str, str], columns: int = 80) -> Iterator[Terminal]:
    """Run the command on a terminal of so many columns; killed at the end if it still runs."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    launch = [sys.executable, "-c", LAUNCH, os.ttyname(slave), *command]
    process = subprocess.Popen(launch, cwd=ROOT, env=os.environ | {"TERM": "xterm"} | dict(environment))
    terminal = Terminal(process, master)
    try:
        # Held until the command has opened it, as a terminal that nobody holds reads as hung up.
        yield terminal
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(slave)
        with suppress(OSError):
            terminal.hang_up()
