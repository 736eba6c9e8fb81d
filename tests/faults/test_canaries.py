"""A secret is planted wherever one can stand; nothing that the service writes or says has any of them."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import jwt
import psutil
import pytest
import trustme
import yaml

from queryengine.domain.key_text import new_key
from queryengine.settings import load
from queryengine.v1 import admin_service_pb2, query_pb2, query_service_pb2
from tests.keyed import KeyApi
from tests.scraping import get
from tests.server_process import ServerProcess, server_process
from tests.support import COMPLETED, FINAL, LOOPBACK, ROOT, WAIT, until
from tests.tls_files import by_name, chain_of, issued, key_of, trusting

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Canaries:
    """One secret for each place, none like another."""

    def __init__(self) -> None:
        self.all: dict[str, str] = {}

    def at(self, place: str) -> str:
        return self.all.setdefault(place, f"canary{len(self.all):02}-{'x' * 24}-{place.replace(' ', '-')}")

    def seen(self, text: str) -> list[str]:
        """The places whose secret is in a text, as it is or as JSON and URLs write it."""
        return [place for place, secret in self.all.items() if secret in text or json.dumps(secret)[1:-1] in text]


class Planted:
    """A server whose settings hold secrets in every way."""

    def __init__(self, folder: Path, server: ServerProcess) -> None:
        self.canaries = canaries = Canaries()
        self.server = server
        self.folder = folder
        self.audit = folder / "audit.jsonl"
        self.admin = new_key().text
        canaries.all["admin key"] = self.admin
        self.authority = trustme.CA()
        certificate = issued(self.authority)
        canaries.all["tls key"] = key_of(certificate).decode().splitlines()[2]
        (folder / "tls.pem").write_bytes(chain_of(certificate))
        (folder / "tls.key").write_bytes(key_of(certificate))
        self.variables = {
            "WAREHOUSE_PASSWORD": canaries.at("variable of an engine"),
            "QUERYENGINE_ENGINES__TRINO__OPTIONS__PASSWORD": canaries.at("variable of a key"),
        }
        self.settings = {
            "server": {**LOOPBACK, "watch_seconds": 0},
            "state": {"directory": str(server.state)},
            "tls": {"certificate": str(folder / "tls.pem"), "key": str(folder / "tls.key")},
            "auth": {
                "authenticators": [
                    {"type": "api_key", "admin_keys": [self.file("admin key", self.admin)]},
                    {
                        "type": "jwt",
                        "issuer": "https://issuer.test",
                        "audience": ["queryengine"],
                        "algorithms": ["HS256"],
                        "keys": [{"secret": self.file("jwt key")}],
                    },
                ]
            },
            "audit": {"to": str(self.audit), "statement": "text"},
            "log": {"level": "debug"},
            "engines": self.engines(),
        }

    def file(self, place: str, text: str = "") -> str:
        path = self.folder / place.replace(" ", "-")
        path.write_text(text or self.canaries.at(place))
        return f"file:{path}"

    def engines(self) -> dict[str, Any]:
        at = self.canaries.at
        secret = f"SET VARIABLE s = '{at('init_sql')}'"
        return {
            "duckdb": {"type": "duckdb", "workers": 1, "options": {"init_sql": [secret, "SELECT 1"]}},
            "wrong": {"type": "duckdb", "workers": 1, "options": {"init_sql": [f"SELEC '{at('wrong init_sql')}'"]}},
            "pg": {
                "type": "sqlalchemy",
                "workers": 1,
                "options": {
                    "url": f"postgresql://reader:{at('password in a url')}@127.0.0.1:1/db",
                    "connect_args": {"sslpassword": at("connect_args")},
                },
            },
            "pgfile": {
                "type": "sqlalchemy",
                "workers": 1,
                "options": {"url": self.file("url file", f"postgresql://r:{at('url in a file')}@127.0.0.1:1/db")},
            },
            "clickhouse": {
                "type": "clickhouse",
                "workers": 1,
                "options": {"url": f"http://r:{at('clickhouse url')}@127.0.0.1:1", "password": self.file("ch file")},
            },
            "trino": {"type": "trino", "workers": 1, "options": {"url": "https://127.0.0.1:1", "user": "r"}},
            "trinofile": {
                "type": "trino",
                "workers": 1,
                "options": {"url": "http://127.0.0.1:1", "user": "r", "password": "env:WAREHOUSE_PASSWORD"},
            },
            "spark": {"type": "spark", "workers": 1, "options": {"url": "sc://127.0.0.1:1", "token": at("token")}},
        }

    def write(self, **groups: Any) -> None:
        (self.server.folder / "queryengine.yaml").write_text(yaml.safe_dump({**self.settings, **groups}))

    def token(self) -> str:
        claims = {
            "iss": "https://issuer.test",
            "aud": "queryengine",
            "sub": "ann",
            "tenant": "acme",
            "iat": 1,
            "exp": 4_000_000_000,
        }
        made = jwt.encode(claims, self.canaries.at("jwt key").encode(), algorithm="HS256")
        self.canaries.all["token"] = made.rpartition(".")[2]
        return made


def command(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "queryengine", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def planted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planted]:
    with server_process(folder) as server:
        found = Planted(folder, server)
        found.write()
        for name, value in found.variables.items():
            monkeypatch.setenv(name, value)
        server.start()
        yield found


def processes(server: ServerProcess) -> Mapping[int, str]:
    """The server and its workers, with what anybody on the machine sees of them."""
    everyone = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    seen = {}
    for each in everyone:
        # Workers of engines that cannot be used end again and again.
        with suppress(psutil.NoSuchProcess):
            seen[each.pid] = " ".join(each.cmdline())
    return seen


async def replies(planted: Planted, api: KeyApi) -> list[str]:
    """What callers are told: refusals, descriptions of engines that are down, statuses in full."""
    engines = await until(lambda: _all_known(api))
    said = [str(engines)]
    for engine in engines.engines:
        query_id = (await api.submit("SELECT 1 AS a", engine=engine.name)).status.query_id
        said.append(str(await until(lambda query_id=query_id: _explained(api, query_id))))
    for scheme in ("ApiKey ", "Bearer ", "Basic ", ""):
        wrong = KeyApi(api.channel, planted.canaries.at("unknown credential"), scheme=scheme)
        said.append(await _refusal(wrong.listed()))
        almost = KeyApi(api.channel, planted.admin[:-1] + "0", scheme=scheme)
        said.append(await _refusal(almost.listed()))
    return said


async def _all_known(api: KeyApi) -> query_service_pb2.ListEnginesResponse | None:
    """What the engines are, once each is up or known to be down."""
    found: query_service_pb2.ListEnginesResponse = await api.call("ListEngines", query_service_pb2.ListEnginesRequest())
    return None if any(not each.available and each.detail == "starting" for each in found.engines) else found


async def _explained(api: KeyApi, query_id: str) -> tuple[query_pb2.QueryStatus, query_pb2.QueryDetails] | None:
    """All about a query that has ended or says what it waits for."""
    status, details = await api.status(query_id), await api.details(query_id)
    return (status, details) if status.state in FINAL or status.progress.waiting_reason else None


async def _refusal(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return f"{refusal.value.details()} {refusal.value.trailing_metadata()} {refusal.value.debug_error_string()}"


async def test_no_secret_is_in_what_the_service_writes_or_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with planted(tmp_path, monkeypatch) as here:
        server, canaries = here.server, here.canaries
        credentials = trusting(here.authority)
        async with grpc.aio.secure_channel(by_name(server.address), credentials) as channel:
            admin = KeyApi(channel, here.admin, tenant="acme")
            made = await admin.create()
            canaries.all["api key"] = made.secret.rpartition("_")[2]
            user = KeyApi(channel, made.secret)
            holder = KeyApi(channel, here.token(), scheme="Bearer ")
            for caller in (user, holder):
                done = await caller.submit(
                    "SELECT $1 AS a",
                    engine="duckdb",
                    parameters=[{"value": {"string_value": canaries.at("parameter")}}],
                    wait_timeout=WAIT,
                )
                assert done.status.state == COMPLETED
            said = await replies(here, admin)
            bad = {**here.settings["auth"], "authenticators": [{"type": "jwt", "issuer": [canaries.at("bad value")]}]}
            here.write(auth=bad, state={"database": f"postgresql://u:{canaries.at('bad url')}@h:x/d"})
            server.process.send_signal(signal.SIGHUP)
            await until(lambda: "the settings stay as they are" in server.errors)
            here.write(
                engines={**here.engines(), "more": {"type": "trino", "options": {"password": canaries.at("new")}}}
            )
            status = await admin.manage("Reload", admin_service_pb2.ReloadRequest())
            assert status.configuration.last_attempt.applied
            said.append(str(status))
            said.append(str(await admin.keys(include_ended=True)))
        said.append((await asyncio.to_thread(get, server.metrics_address)).decode())
        said += processes(server).values()
        checked = command("config", "check", str(server.folder / "queryengine.yaml"))
        said.append(checked.stdout + checked.stderr)
        server.terminate()
        wrote = {
            "the log": server.errors,
            "the banner": server.output,
            "the audit log": here.audit.read_text(),
            "replies and descriptions": "\n".join(said),
        }
        for path in server.state.rglob("*"):
            if path.is_file():
                wrote[str(path)] = path.read_bytes().decode("latin-1")
        assert "DEBUG" in wrote["the log"]
        assert "CREDENTIAL_INVALID" in wrote["the audit log"]
        found = {name: canaries.seen(text) for name, text in wrote.items()}
        # What a caller sent and gets back is in the results and in the reference of its query, and nowhere else.
        kept = {name: [each for each in places if each != "parameter"] for name, places in found.items()}
        assert not {name: places for name, places in kept.items() if places}
        assert not found["the log"] + found["the audit log"]


async def test_no_dump_of_settings_has_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server_process(tmp_path) as server:
        here = Planted(tmp_path, server)
        here.write()
        for name, value in here.variables.items():
            monkeypatch.setenv(name, value)
        settings = load(str(server.folder / "queryengine.yaml"))
        groups = [getattr(settings, name) for name in type(settings).model_fields]
        dumps = [settings, settings.model_dump(), settings.model_dump_json(), dict(settings), vars(settings), groups]
        shown = "\n".join([*map(repr, dumps), *map(str, dumps)])
        assert "trinofile" in shown
        assert here.canaries.seen(shown) == []


async def test_a_start_that_fails_says_no_secret(tmp_path: Path) -> None:
    canary = "canary-4e2f"
    with server_process(tmp_path) as server:
        url = f"postgresql://u:{canary}@127.0.0.1:1/d"
        settings = {"server": dict(LOOPBACK), "state": {"directory": str(server.state), "database": url}}
        (server.folder / "queryengine.yaml").write_text(yaml.safe_dump({**settings, "log": {"level": "debug"}}))
        assert server.launch().wait(60) == 1
        assert "127.0.0.1" in server.errors
        assert canary not in server.errors + server.output


@pytest.mark.parametrize(
    "text",
    [
        "engines: {{e: {{type: trino, options: [{}]}}}}",
        "engines: {{e: {{type: trino, workers: 0, options: {{password: {}}}}}}}",
        "engines: {{e: {{type: trino, option: {{password: {}}}}}}}",
        "engines: {{e: {{type: trino, options: {{url: 'https://h', password: {}, no_such: 1}}}}}}",
        "state: {{database: 'mysql://u:{}@h/d'}}",
        "state: {{database: ['{}']}}",
        "auth: {{authenticators: [{{type: api_key, admin_keys: ['{}']}}]}}",
        "auth: {{authenticators: [{{type: api_key, admin_keys: '{}'}}]}}",
        "auth: {{authenticators: [{{type: jwt, keys: [{{secret: '{}'}}]}}]}}",
        "auth: {{authenticators: [{{type: jwt, keys: ['{}']}}]}}",
        "auth: {{authenticators: ['{}']}}",
        "auth: {{authenticators: '{}'}}",
        "auth: '{}'",
        "engines: '{}'",
        "engines: {{e: '{}'}}",
        "engines: {{e: {{type: trino, options: '{}'}}}}",
    ],
)
async def test_a_mistake_in_the_file_repeats_no_secret(tmp_path: Path, text: str) -> None:
    canary = "canary-77aa"
    file = tmp_path / "s.yaml"
    file.write_text(text.format(canary))
    done = command("config", "check", str(file))
    assert done.returncode == 2, done.stdout
    assert "s.yaml" in done.stderr
    assert canary not in done.stdout + done.stderr
