"""Header bytes that no client library sends: refused, and the log stays readable however many come."""

import asyncio
from pathlib import Path

import pytest

from tests.raw_http2 import call
from tests.server_process import server_process

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIST = "/queryengine.v1.QueryService/ListEngines"
OK = b"scripted"
"""A word of the reply."""

HEADERS = [
    (b"x-tenant-id", b"\xff\xfe"),
    (b"x-tenant-id", b"m\xc3\xbcnchen"),
    (b"x-tenant-id", b"a\x01b"),
    (b"x-tenant-id", b"a\0b"),
    (b"x-user-id", b"\xc3\x28"),
    (b"x-user-id", b"a\nb"),
]
OTHERS = [
    (b"x-other", b"\xff"),
    (b"user-agent", b"\xff"),
    (b"x\xff", b"a"),
    (b"x-a b", b"1"),
    (b"X-UPPER", b"1"),
    (b"x-bin-bin", b"!!!"),
    (b"grpc-timeout", b"zzz"),
    (b"grpc-encoding", b"nosuch"),
]
PATHS = ["", "x", "/nosuch", "/queryengine.v1.QueryService/Nope", "/queryengine.v1.QueryService/L\u00ffst"]


async def test_names_that_are_not_text_are_refused_and_logged_once(tmp_path: Path) -> None:
    with server_process(tmp_path, engines={"scripted": {"type": "scripted", "workers": 1}}) as server:
        server.start()

        def answers() -> list[bytes]:
            return [call(server.address, LIST, [header]) for header in HEADERS]

        for answer in await asyncio.to_thread(answers):
            assert OK not in answer
            assert b"printable ASCII characters" in answer or b"INTERNAL" in answer or b"llegal" in answer

        def noise() -> None:
            for header in OTHERS * 3:
                call(server.address, LIST, [header])
            for path in PATHS:
                call(server.address, path, [])

        await asyncio.to_thread(noise)
        assert OK in await asyncio.to_thread(call, server.address, LIST, [(b"x-tenant-id", b"fine")])
        server.terminate()
        await asyncio.to_thread(server.process.wait, 30)
        lines = server.errors.splitlines()
        assert "Traceback" not in server.errors
        assert len([line for line in lines if "header" in line]) == 1
        # Ours begin with the year; those of gRPC with a letter and the month.
        assert all(line.startswith("20") for line in lines), lines
