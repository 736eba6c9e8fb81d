"""What the engine servers of the tests leave behind when the process that started them is killed."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from tests.servers.server import folder_of_its_own, free_port
from tests.support import until_sync

STARTER = """
import os, sys
from pathlib import Path
from tests.servers.server import Server


class Sleeper(Server):
    name = "sleeper"
    def fetch(self): ...
    def missing(self): return ""
    def options(self): return {}
    def start(self): self.run(["sleep", "600"])

sleeper = Sleeper()
sleeper.folder = Path(sys.argv[1])
sleeper.start()
print(sleeper.processes[0].pid, flush=True)
sys.stdin.read()
os._exit(1)
"""


def ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdin is not None
    assert starter.stdout is not None
    with starter:
        sleeper = int(starter.stdout.readline())
        assert not ended(sleeper)
        starter.stdin.close()
        assert starter.wait(30) == 1
    until_sync(lambda: ended(sleeper))


def test_the_folder_of_a_server_whose_process_is_gone_is_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = tmp_path / f"trino-of-{gone.pid}-abc"
    kept = [
        tmp_path / f"trino-of-{os.getpid()}-abc",
        tmp_path / f"trino-spooling-of-{gone.pid}-x",
        tmp_path / "trino-of-me",
    ]
    for folder in (left, *kept):
        folder.mkdir()
    new = folder_of_its_own("trino", tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([*kept, new])


def test_no_two_processes_get_one_port() -> None:
    """The system gives a port that is free again to the next who asks, before a server listens on it."""
    code = (
        "import sys; from tests.servers.server import free_port; print(*(free_port() for _ in range(300)), flush=True)"
    )
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", f"{code}; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ports: list[str] = []
    for starter in starters:
        assert starter.stdout is not None
        ports += starter.stdout.readline().split()
    for starter in starters:
        starter.communicate()
    assert len(set(ports)) == len(ports) == 900


def test_a_free_port_is_nothing_left_behind() -> None:
    assert free_port() not in {free_port() for _ in range(20)}
