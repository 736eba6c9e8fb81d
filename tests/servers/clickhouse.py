"""ClickHouse: the engine from a package, behind its HTTP interface; or a server that $CLICKHOUSE_URL names."""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import Any, ClassVar

from clickhouse_connect.driver.exceptions import Error

from queryengine.engines.clickhouse.options import ClickHouseOptions
from tests.servers.cache import cache_folder, packages, packages_name
from tests.servers.server import Server, free_port

LOCK = Path(__file__).with_name("clickhouse.lock")
START_SECONDS = 60.0
USER, PASSWORD = "reader", "Kx7-secret"
USERS = """<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default>
<password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
<databases><default>{tables}</default></databases><access_management>1</access_management>
</default></users></clickhouse>"""


class ClickHouseServer(Server):
    name: ClassVar[str] = "clickhouse"
    row_policies: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Filters of the user's own, by tables of the database `default`. With some, the user may list them."""

    def __init__(self) -> None:
        super().__init__()
        self.url = os.environ.get("CLICKHOUSE_URL", "")

    def fetch(self) -> None:
        if not self.url:
            packages(LOCK)

    def missing(self) -> str:
        is_there = bool(self.url) or (cache_folder() / packages_name(LOCK)).exists()
        return "" if is_there else "its packages were not fetched"

    def start(self) -> None:
        if not self.url:
            port = free_port()
            arguments = [str(Path(__file__).with_name("clickhouse_front.py")), str(port), USER, PASSWORD]
            if self.row_policies:
                arguments.append(str(self._write_config()))
            environment = {"PYTHONPATH": str(packages(LOCK)), "TMPDIR": str(self.folder)}
            self.run([sys.executable, *arguments], environment, cwd=self.folder)
            self.url = f"http://{USER}:{PASSWORD}@127.0.0.1:{port}"
        self._wait()
        self.command("CREATE TABLE IF NOT EXISTS t (a Int32, s String) ENGINE = MergeTree ORDER BY a")

    def _write_config(self) -> Path:
        tables = "".join(f"<{name}><filter>{each}</filter></{name}>" for name, each in self.row_policies.items())
        users, config = self.folder / "users.xml", self.folder / "config.xml"
        users.write_text(USERS.format(tables=tables))
        config.write_text(f"<clickhouse><users_config>{users}</users_config></clickhouse>")
        return config

    def options(self) -> dict[str, Any]:
        return {"url": self.url}

    def running(self, words: str = "") -> int:
        """How many statements of the engine under test the server's own list has, of those with these words."""
        sql = (
            "SELECT count() FROM system.processes WHERE query NOT LIKE '%system.processes%' "
            "AND query LIKE {words:String}"
        )
        client = self.client()
        try:
            return int(client.raw_query(sql, parameters={"words": f"%{words}%"}, fmt="TSV"))
        finally:
            client.close()

    def command(self, sql: str) -> Any:
        """Run a statement that the engine under test may not."""
        client = self.client()
        try:
            return client.command(sql)
        finally:
            client.close()

    def client(self) -> Any:
        """The driver's own client, for what the engine under test is compared with."""
        return ClickHouseOptions.parse(self.options()).client(read_timeout_seconds=60.0)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.alive()
            try:
                self.command("SELECT 1")
                return
            except Error:
                if time.monotonic() > deadline:
                    raise
            Event().wait(0.05)
