"""A real Trino coordinator that is its own worker, with the catalogs tpch, memory and system.

It needs Java 24 or newer. `TrinoServer` answers with rows in its pages; `SpoolingTrinoServer` writes rows as segments
to a store that speaks S3, which runs beside it, and hands out references.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final

from tests.servers.cache import cache_folder, made_once, packages, packages_name
from tests.servers.server import Server, free_port

VERSION: Final = "476"
JAVA_MIN: Final = 24
START_SECONDS: Final = 110.0
ANSWER_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 0.1
FOLDER: Final = f"trino-{VERSION}"
LOCK: Final = Path(__file__).with_name("trino.lock")
BUCKET: Final = "spool"
S3_USER: Final = "test"
USER: Final = "tester"

JVM: Final = """\
-server
-Xmx1536M
-XX:+UseSerialGC
-XX:TieredStopAtLevel=1
-XX:+ExitOnOutOfMemoryError
-Djdk.attach.allowAttachSelf=true
--enable-native-access=ALL-UNNAMED
"""
CATALOGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tpch": "connector.name=tpch\n",
        "memory": "connector.name=memory\n",
        # With the column names that the queries of TPC-H use.
        "standard": "connector.name=tpch\ntpch.column-naming=STANDARD\n",
    }
)
_ERROR_CODES: Final = """\
import io.trino.spi.StandardErrorCode;

public class ErrorCodes {
    public static void main(String[] arguments) {
        for (var each : StandardErrorCode.values()) {
            System.out.println(each + " " + each.toErrorCode().getType());
        }
    }
}
"""
PLUGINS: Final = ("tpch", "memory")


class TrinoServer(Server):
    name = "trino"
    settings: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Beyond those that every server here has, for etc/config.properties."""

    def __init__(self) -> None:
        super().__init__()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fetch(self) -> None:
        made_once(FOLDER, _unpack)

    def missing(self) -> str:
        if not (cache_folder() / FOLDER).exists():
            return f"Trino {VERSION} is not in the cache"
        if java_home() is None:
            return f"there is no Java {JAVA_MIN} or newer (JAVA_HOME, /usr/lib/jvm, PATH)"
        return ""

    def options(self) -> dict[str, Any]:
        return {"url": self.url, "user": USER, "catalog": "tpch", "schema": "tiny"}

    def start(self) -> None:
        self.port = free_port()
        installed = cache_folder() / FOLDER
        # The launcher takes the folder that holds it for its home, so etc and data are named to it.
        etc = self.folder / "etc"
        for name, text in self.files().items():
            path = etc / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        home = java_home()
        assert home is not None
        self.run(
            [
                str(installed / "bin" / "launcher"),
                "run",
                "--etc-dir",
                str(etc),
                "--data-dir",
                str(self.folder / "data"),
            ],
            {"JAVA_HOME": str(home), "PATH": f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"},
        )
        self.until(lambda: not self.ask("/v1/info")["starting"])
        # It answers before its own worker is known to it.
        self.until(lambda: bool(self.query("SELECT count(*) FROM tpch.tiny.region")))

    def files(self) -> dict[str, str]:
        """The files of etc."""
        config = {
            "coordinator": "true",
            "node-scheduler.include-coordinator": "true",
            "http-server.http.port": str(self.port),
            "discovery.uri": self.url,
            "catalog.management": "static",
            "query.max-memory": "600MB",
            "query.max-memory-per-node": "600MB",
            "query.min-expire-age": "1m",
            **self.settings,
        }
        node = {
            "node.environment": "test",
            "node.id": "queryengine",
            "node.data-dir": str(self.folder / "data"),
            "node.bind-ip": "127.0.0.1",
            "node.internal-address": "127.0.0.1",
        }
        return {
            "config.properties": _properties(config),
            "node.properties": _properties(node),
            "jvm.config": JVM,
            "log.properties": "io.trino=WARN\n",
            **{f"catalog/{name}.properties": text for name, text in CATALOGS.items()},
        }

    def until(self, answers: Any) -> None:
        """Return when `answers()` is true. Raises when a process has died or the start takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.alive()
            try:
                if answers():
                    return
            except (OSError, RuntimeError, ValueError):
                if time.monotonic() > deadline:
                    raise
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not answer in {START_SECONDS} s:\n{self.log.read_text()[-2000:]}")
            time.sleep(PAUSE_SECONDS)

    def ask(self, path: str, body: str | None = None) -> Any:
        """What it answers on its own web interface, to somebody else than the engine under test."""
        url = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(url, body.encode() if body is not None else None, {"X-Trino-User": "observer"})
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return json.loads(answer.read())

    def query(self, sql: str) -> list[list[Any]]:
        """All rows of a statement. Raises RuntimeError with its words when it fails."""
        answer = self.ask("/v1/statement", sql)
        rows = list(answer.get("data", []))
        while "nextUri" in answer:
            answer = self.ask(answer["nextUri"])
            rows += answer.get("data", [])
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return rows

    def states(self, *, user: str = USER) -> dict[str, str]:
        """The states of all queries of a user, by id, from the server's own list."""
        listed = self.ask("/v1/query")
        return {each["queryId"]: each["state"] for each in listed if each["session"]["user"] == user}

    def state(self, query_id: str, *, user: str = USER) -> str:
        """The state of one query of a user, from the server's own list; empty when that does not have it: Trino lists a
        query from when its client has asked for its first page until a minute after its end.
        """
        return self.states(user=user).get(query_id, "")

    def running(self) -> int:
        """How many queries of the engine under test it works on."""
        return sum(state not in {"FINISHED", "FAILED"} for state in self.states().values())

    def error_codes(self) -> dict[str, str]:
        """The type of every error code that this Trino knows, by name."""
        source = self.folder / "ErrorCodes.java"
        source.write_text(_ERROR_CODES)
        home = java_home()
        assert home is not None
        command = [str(home / "bin" / "java"), "-cp", str(cache_folder() / FOLDER / "lib" / "*"), str(source)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=START_SECONDS).stdout
        return dict(line.split() for line in printed.splitlines())

    def java(self) -> int:
        """The process id of its virtual machine."""
        return self.processes[-1].pid


class SpoolingTrinoServer(TrinoServer):
    name = "trino-spooling"
    settings = MappingProxyType(
        {
            "protocol.spooling.enabled": "true",
            # Any 32 bytes; they encrypt the references, and the server lives as long as a test session.
            "protocol.spooling.shared-secret-key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
            "protocol.spooling.retrieval-mode": "coordinator_proxy",
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self.store_port = 0

    def fetch(self) -> None:
        super().fetch()
        packages(LOCK)

    def missing(self) -> str:
        if not (cache_folder() / packages_name(LOCK)).exists():
            return f"the packages of {LOCK.name} are not in the cache"
        return super().missing()

    def start(self) -> None:
        self.store_port = free_port()
        program = "from moto.server import main; main()"
        self.run(
            [sys.executable, "-c", program, "-H", "127.0.0.1", "-p", str(self.store_port)],
            {"PYTHONPATH": str(packages(LOCK)), "AWS_ACCESS_KEY_ID": S3_USER, "AWS_SECRET_ACCESS_KEY": S3_USER},
        )
        self.until(self._makes_bucket)
        super().start()

    def files(self) -> dict[str, str]:
        spooling = {
            "spooling-manager.name": "filesystem",
            "fs.s3.enabled": "true",
            "fs.location": f"s3://{BUCKET}/",
            "fs.segment.encryption": "false",
            "s3.endpoint": f"http://127.0.0.1:{self.store_port}",
            "s3.region": "us-east-1",
            "s3.path-style-access": "true",
            "s3.aws-access-key": S3_USER,
            "s3.aws-secret-key": S3_USER,
        }
        return {**super().files(), "spooling-manager.properties": _properties(spooling)}

    def segments(self) -> int:
        """How many segments lie in the store."""
        with urllib.request.urlopen(self._bucket, timeout=ANSWER_SECONDS) as answer:
            return len(re.findall(rb"<Key>", answer.read()))

    @property
    def _bucket(self) -> str:
        return f"http://127.0.0.1:{self.store_port}/{BUCKET}"

    def _makes_bucket(self) -> bool:
        request = urllib.request.Request(self._bucket, method="PUT")
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return answer.status == 200


def java_home() -> Path | None:
    """The home of a Java that is new enough; None when there is none."""
    named = os.environ.get("JAVA_HOME")
    homes = [Path(named)] if named else []
    homes += sorted(Path("/usr/lib/jvm").glob("*"))
    found = shutil.which("java")
    if found:
        homes.append(Path(found).resolve().parents[1])
    return next((home for home in homes if _java_version(home) >= JAVA_MIN), None)


def _java_version(home: Path) -> int:
    release = home / "release"
    if not (home / "bin" / "java").exists() or not release.exists():
        return 0
    match = re.search(r'JAVA_VERSION="(\d+)', release.read_text())
    return int(match[1]) if match else 0


def _properties(values: Mapping[str, str]) -> str:
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _unpack(folder: Path) -> None:
    """The server and its two plugins, from Maven, in the layout that its launcher expects."""
    core = _artifact("trino-server-core", "tar.gz", folder)
    with tarfile.open(core) as archive:
        # Python before 3.11.4 has no filters, and does what this one asks for.
        filters: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
        archive.extractall(folder, **filters)
    inside = folder / f"trino-server-core-{VERSION}"
    for each in inside.iterdir():
        each.rename(folder / each.name)
    inside.rmdir()
    core.unlink()
    for name in PLUGINS:
        plugin = _artifact(f"trino-{name}", "zip", folder)
        with zipfile.ZipFile(plugin) as archive:
            archive.extractall(folder / "plugin")
        (folder / "plugin" / f"trino-{name}-{VERSION}").rename(folder / "plugin" / name)
        plugin.unlink()


def _artifact(name: str, kind: str, folder: Path) -> Path:
    """A file of Maven's registry, by its ordinary client, which keeps a copy of its own in the cache."""
    coordinates = f"io.trino:{name}:{VERSION}:{kind}"
    local = f"-Dmaven.repo.local={cache_folder() / 'maven'}"
    _maven(local, "dependency:get", f"-Dartifact={coordinates}", "-Dtransitive=false")
    _maven(local, "dependency:copy", f"-Dartifact={coordinates}", f"-DoutputDirectory={folder}")
    return folder / f"{name}-{VERSION}.{kind}"


def _maven(*arguments: str) -> None:
    subprocess.run(["mvn", "-q", "-B", *arguments], check=True, stdin=subprocess.DEVNULL)
