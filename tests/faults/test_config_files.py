"""A server takes over a changed file by itself, as a whole, and says what it uses to admins alone."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from queryengine.domain.key_text import new_key
from tests.keyed import KeyApi
from tests.scraping import scrape
from tests.server_process import ServerProcess, server_process
from tests.support import LOOPBACK, ROOT, refused, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPTED = {"scripted": {"type": "scripted", "workers": 1}}
WATCHING = {**LOOPBACK, "watch_seconds": 0.05}
REFUSED = "the settings stay as they are"


def settings(server: ServerProcess, /, **groups: Any) -> str:
    state = {"directory": str(server.state)}
    return yaml.safe_dump({"server": WATCHING, "engines": SCRIPTED, "state": state, **groups})


def replace(path: Path, text: str) -> None:
    """In one step, so that nobody reads a part of it."""
    beside = path.with_name(".beside")
    beside.write_text(text)
    beside.rename(path)


async def said(server: ServerProcess, text: str, act: Callable[[], None]) -> str:
    """What the log says from then on, once it says the text."""
    before = len(server.errors)
    act()
    return str(await until(lambda: server.errors[before:] if text in server.errors[before:] else ""))


async def test_a_changed_file_is_taken_over_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=SCRIPTED, limits={"sql_bytes": 30}) as server:
        file = server.folder / "queryengine.yaml"
        replace(file, settings(server, limits={"sql_bytes": 30}))
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = KeyApi(channel, "")
            api.metadata = ()
            assert (await refused(api.script("rows " + "1" * 30))).field == "sql"
            line = await said(server, "settings read again", lambda: replace(file, settings(server)))
            assert "changed: limits.sql_bytes" in line
            bad = settings(server, limits={"sql_bytes": 0, "parameters": 1}, log={"level": "debug"})
            line = await said(server, REFUSED, lambda: replace(file, bad))
            assert "limits.sql_bytes: expected at least 1, not 0" in line
            # Nothing of it.
            assert "DEBUG" not in server.errors
            line = await said(server, "settings read again", lambda: replace(file, settings(server)))
            assert "changed: nothing" in line
        seen = await scrape(server)
        assert (seen("reloads_total", outcome="applied"), seen("reloads_total", outcome="refused")) == (2, 1)


async def test_files_that_kubernetes_replaces_are_taken_over(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=SCRIPTED) as server:
        file = server.folder / "queryengine.yaml"
        mount = tmp_path / "mount"
        (mount / "..v1").mkdir(parents=True)
        (mount / "..v1" / "queryengine.yaml").write_text(settings(server))
        (mount / "..data").symlink_to("..v1")
        file.unlink()
        file.symlink_to(mount / "..data" / "queryengine.yaml")
        server.start()

        def swap() -> None:
            (mount / "..v2").mkdir()
            (mount / "..v2" / "queryengine.yaml").write_text(settings(server, limits={"sql_bytes": 77}))
            (mount / "..tmp").symlink_to("..v2")
            (mount / "..tmp").rename(mount / "..data")
            (mount / "..v1" / "queryengine.yaml").unlink()

        assert "changed: limits.sql_bytes" in await said(server, "settings read again", swap)


async def test_admins_see_and_load_the_configuration(tmp_path: Path) -> None:
    admin, key_file = new_key(), tmp_path / "admin.key"
    key_file.write_text(admin.text)
    auth = {"authenticators": [{"type": "api_key", "admin_keys": [f"file:{key_file}"]}]}
    with server_process(tmp_path, engines=SCRIPTED) as server:
        file = server.folder / "queryengine.yaml"
        # By signals and calls alone.
        quiet = {**LOOPBACK, "watch_seconds": 0}
        replace(file, settings(server, auth=auth, server=quiet))
        server.start()

        def command(*words: str) -> "subprocess.CompletedProcess[str]":
            options = ["--server", server.address, "--token-file", str(key_file)]
            return subprocess.run(
                [sys.executable, "-m", "queryengine", "config", *words, *options],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        first = command("status")
        assert (first.returncode, first.stderr) == (0, "")
        assert "(start): applied" in first.stdout
        limits = {"sql_bytes": 50, "request_bytes": 5000}
        replace(file, settings(server, auth=auth, server=quiet, limits=limits))
        done = json.loads(command("reload", "--json").stdout)
        assert done["last_attempt"]["applied"]
        assert done["last_attempt"]["trigger"] == "call"
        assert done["last_attempt"]["changed"] == ["limits.sql_bytes"]
        assert done["needs_restart"] == ["limits.request_bytes"]
        replace(file, settings(server, auth=auth, server=quiet, limits={"sql_bytes": 0}))
        bad = command("reload")
        assert bad.returncode == 1
        assert "refused\n" in bad.stdout
        assert "limits.sql_bytes: expected at least 1, not 0" in bad.stdout
        seen = json.loads(command("status", "--json").stdout)
        assert (seen["version"], seen["load_time"]) == (done["version"], done["load_time"])
        assert not seen["last_attempt"]["applied"]
        assert admin.text not in server.errors + json.dumps(seen) + bad.stdout
