"""Every command of docs/clients, run against a live server through a proxy that cuts the connection in mid-result.

A page shows what its program prints, which is compared; what the programs claim is then compared with what the server
knows of their queries. A page whose toolchain is not on the machine is skipped by name, under CI too: toolchains come
with the machine, and only Python is always there.
"""

import os
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import grpc
import pytest

from queryengine.v1.query_pb2 import QueryState
from queryengine.v1.query_service_pb2 import ListQueriesRequest
from queryengine.v1.query_service_pb2_grpc import QueryServiceStub
from tests.clients.toolchains import TOOLCHAINS, builds, compilers, grpcurl
from tests.cutting_proxy import CuttingProxy
from tests.server_process import server_process
from tests.support import ROOT
from tests.walkthrough import Step, follow, steps

DEFAULT_ADDRESS = "127.0.0.1:8815"
BUILD_SECONDS = 1800
"""A first build fetches and compiles everything that a program needs."""

ROTATE_BYTES = 6_000_000
CUT_BYTES = 4_000_000
STREAMS_MIN = 4
"""Of the 18 MB of the large result: one that is cut at 4 MB, and then one for each 6 MB."""

RUNS = 2
"""Of a program on its page: with buf and with protoc."""

ENDED = {"QUERY_STATE_COMPLETED": 4 * RUNS, "QUERY_STATE_CANCELLED": RUNS, "QUERY_STATE_FAILED": RUNS}

pytestmark = pytest.mark.timeout(BUILD_SECONDS)


@pytest.mark.parametrize("language", TOOLCHAINS)
async def test_a_page_does_what_it_says(language: str, tmp_path: Path) -> None:
    if why := TOOLCHAINS[language].missing():
        pytest.skip(f"{language}: {why}")
    checkout = scratch_checkout(tmp_path / "checkout", language)
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    path = [str(compilers(tmp_path / "compilers")), os.environ["PATH"]]
    if language == "grpcurl":
        path.append(str(grpcurl()))
    settings = {
        "engines": {"duckdb": {"type": "duckdb", "workers": 2}},
        "streams": {"rotate_bytes": ROTATE_BYTES},
        # A busy machine may take longer than usual to confirm a cancel, and the worker must not be killed for it.
        "limits": {"cancel_grace_seconds": 30},
    }
    try:
        with server_process(tmp_path, **settings) as server:
            server.start()
            async with CuttingProxy(server.address, FirstOfEachProgram()).running() as proxy:
                environment = {"PATH": os.pathsep.join(path), **builds()}
                printed = await follow(page(language, proxy.address), checkout, outputs, environment=environment)
            if language != "grpcurl":
                assert proxy.cuts >= RUNS
                check_claims(language, "".join(printed), server.address)
    finally:
        shutil.rmtree(checkout)


def scratch_checkout(folder: Path, language: str) -> Path:
    """What a page uses of a checkout, without what somebody may have built in the real one."""
    shutil.copytree(ROOT / "protos", folder / "protos")
    shutil.copy(ROOT / "buf.yaml", folder)
    # The environment that `make setup` makes.
    (folder / ".venv").symlink_to(sys.prefix)
    sources = ROOT / "examples" / "clients" / language
    if sources.exists():
        ignored = shutil.ignore_patterns(*(sources.parent / ".gitignore").read_text("utf-8").split())
        shutil.copytree(sources, folder / "examples" / "clients" / language, ignore=ignored)
    return folder


def page(language: str, address: str) -> list[Step]:
    """The commands of a page, for a server at this address."""
    text = (ROOT / "docs" / "clients" / f"{language}.md").read_text("utf-8")
    return steps(text.replace(DEFAULT_ADDRESS, address))


class FirstOfEachProgram:
    """Cuts a connection in the middle of the large result, and leaves alone the one that its program opens next."""

    def __init__(self) -> None:
        self._left_alone = 0

    def __call__(self, proxy: CuttingProxy) -> int | None:
        if proxy.cuts == self._left_alone:
            return CUT_BYTES
        self._left_alone += 1
        return None


def check_claims(language: str, printed: str, address: str) -> None:
    """Compare what the programs printed with what the server knows."""
    streams = [int(count) for count in re.findall(r"over (\d+) streams", printed)]
    assert len(streams) == RUNS
    assert min(streams) >= STREAMS_MIN
    with grpc.insecure_channel(address) as channel:
        request = ListQueriesRequest(labels={"client": language})
        queries = QueryServiceStub(channel).ListQueries(request, timeout=30).queries
    assert Counter(QueryState.Name(query.state) for query in queries) == ENDED
    ids = re.findall(r"^submit +(\S+) accepted$", printed, re.MULTILINE)
    assert len(ids) == RUNS
    assert set(ids) < {query.query_id for query in queries}
    assert {query.error.reason for query in queries} == {"", "QUERY_CANCELLED", "STATEMENT_REJECTED"}
