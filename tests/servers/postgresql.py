"""A private PostgreSQL on loopback: the one of this machine, else the one that the PyPI package pgserver brings."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from tests.servers.cache import cache_folder, packages, packages_name
from tests.servers.launch import prefix
from tests.servers.server import Server, folder_of_its_own, free_port

LOCK = Path(__file__).with_name("postgresql.lock")
DRIVER_LOCK = Path(__file__).with_name("psycopg2.lock")
"""A driver that queryengine knows nothing of."""
START_SECONDS = 30.0
DEBIAN = Path("/usr/lib/postgresql")
READER = "reader"
PASSWORD = "not a secret, but odd: @/'"


class PostgreSQLServer(Server):
    name = "postgresql"

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        """With settings beside those that make it quick."""
        super().__init__()
        self._settings = settings or {}
        self.port = 0
        self._command: list[str] = []
        self._user: pwd.struct_passwd | None = None

    def fetch(self) -> None:
        if installed() is None:
            packages(LOCK)
        packages(DRIVER_LOCK)

    def missing(self) -> str:
        if not (cache_folder() / packages_name(DRIVER_LOCK)).exists():
            return "psycopg2 is not fetched"
        return "" if programs() is not None else "no initdb and postgres on this machine, and pgserver is not fetched"

    def start(self) -> None:
        found = programs()
        assert found is not None
        who = unprivileged()
        if who is not None:
            # Where the unprivileged user may enter; a home of root is closed to others, also to run programs.
            self.folder.rmdir()
            self.folder = Path(folder_of_its_own("postgresql", Path("/tmp")))
            os.chown(self.folder, who.pw_uid, who.pw_gid)
            if cache_folder() in found.parents:
                # With the libraries beside it.
                fetched = cache_folder() / packages_name(LOCK)
                found = Path(shutil.copytree(fetched, self.folder / "programs")) / found.relative_to(fetched)
        self.port = free_port()
        data = self.folder / "data"
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        arguments = [
            "-U",
            "owner",
            "-A",
            "scram-sha-256",
            f"--pwfile={password}",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        initdb = [str(found / "initdb"), "-D", str(data), *arguments]
        subprocess.run([*prefix(who), *initdb], check=True, capture_output=True, cwd="/")
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "60",
            **self._settings,
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        self._command = [str(found / "postgres"), "-D", str(data), "-p", str(self.port), *options]
        self._user = who
        self.launch()
        with self.connect() as connection:
            connection.execute(SETUP)

    def launch(self) -> None:
        """Run it on the data that there is, and return when it answers."""
        self.run(self._command, user=self._user, cwd="/")
        self._wait()

    def crash(self) -> None:
        """End it at once, as a crash would: nothing is written down that was not before. `launch` starts it again."""
        (process,) = self.processes
        process.send_signal(signal.SIGQUIT)
        process.wait()
        self.processes.clear()

    def stop(self) -> None:
        # At SIGTERM alone it waits for its clients to leave.
        for process in self.processes:
            process.send_signal(signal.SIGINT)
        super().stop()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.alive()
            try:
                with self.connect() as connection:
                    row = connection.execute("SHOW data_directory").fetchone()
                    # A server of other tests on this port would have the roles already.
                    assert row == (str(self.folder / "data"),), f"port {self.port} is that of another server: {row}"
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """As the owner of the server, who may do everything."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="owner", password=PASSWORD, dbname=database, autocommit=True
        )

    def running(self) -> int:
        """How many statements of an engine it runs now, by its own list."""
        with self.connect() as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = %s "
                "AND application_name <> 'queryengine monitor'",
                [READER],
            ).fetchone()
        assert row is not None
        return int(row[0])

    def record_url(self, name: str, address: str = "") -> str:
        """Where a server may keep its record: a schema of that name, which is made when it is missing."""
        with self.connect() as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = 'records'").fetchone() is None:
                connection.execute("CREATE DATABASE records")
        with self.connect("records") as connection:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")
        address = address or f"127.0.0.1:{self.port}"
        return f"postgresql://owner:{quote(PASSWORD, safe='')}@{address}/records?search_path={name}"

    def url(self, driver: str = "postgresql+psycopg", password: str = PASSWORD) -> str:
        from sqlalchemy import URL

        url = URL.create(driver, READER, password, "127.0.0.1", self.port, "postgres")
        return url.render_as_string(hide_password=False)

    def options(self) -> dict[str, Any]:
        return {"url": self.url()}

    def other_options(self) -> dict[str, Any]:
        """Options of the engine that uses it by the other driver, importable from now on."""
        folder = str(cache_folder() / packages_name(DRIVER_LOCK))
        if folder not in sys.path:
            sys.path.append(folder)
        return {"url": self.url("postgresql+psycopg2")}


SETUP = f"""
CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD.replace("'", "''")}';
CREATE TABLE t (a integer, s text);
CREATE TYPE mood AS ENUM ('sad', 'glad');
GRANT SELECT ON t TO {READER};
"""


def installed() -> Path | None:
    """The folder of initdb and postgres on this machine."""
    initdb = shutil.which("initdb")
    near = [Path(initdb).resolve().parent] if initdb else []
    debian = sorted(DEBIAN.glob("*/bin"), key=lambda path: int(path.parent.name.partition(".")[0]), reverse=True)
    return next((path for path in [*near, *debian] if (path / "postgres").exists()), None)


def programs() -> Path | None:
    found = installed()
    if found is not None:
        return found
    fetched = cache_folder() / packages_name(LOCK) / "pgserver" / "pginstall" / "bin"
    return fetched if (fetched / "postgres").exists() else None


def unprivileged() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as; it refuses root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL refuses to run as root, and there is no other user")
