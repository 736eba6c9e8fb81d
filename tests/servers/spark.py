"""A Spark Connect server in local mode, from the pyspark package of the registry."""

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any, Final

import grpc

from tests.servers.cache import cache_folder, packages, packages_name
from tests.servers.server import Server, free_port

_LOCK: Final = Path(__file__).with_name("spark.lock")
_JAVA_HOMES: Final = ("/usr/lib/jvm/java-17*", "/usr/lib/jvm/*17*")
_START_SECONDS: Final = 90.0
_POOLS: Final = '<allocations><pool name="default"><schedulingMode>FAIR</schedulingMode></pool></allocations>'
_HEAP: Final = "3g"
"""Three times what Spark lets a result take of it."""


class SparkServer(Server):
    name = "spark"

    def __init__(self, token: str = "") -> None:
        """With a token it serves only who sends it."""
        super().__init__()
        self._token = token
        self.port = 0
        self.web_port = 0

    def fetch(self) -> None:
        packages(_LOCK)

    def missing(self) -> str:
        if not (cache_folder() / packages_name(_LOCK)).exists():
            return "pyspark was not fetched"
        return "" if _java_home() else "there is no Java 17; set JAVA_HOME"

    def start(self) -> None:
        home = cache_folder() / packages_name(_LOCK) / "pyspark"
        # Started again, it is where it was.
        self.port, self.web_port = self.port or free_port(), self.web_port or free_port()
        pools = self.folder / "pools.xml"
        pools.write_text(_POOLS)
        settings = {
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": self.port,
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            # Its list of what runs is what tests ask.
            "spark.ui.port": self.web_port,
            "spark.ui.liveUpdate.period": "0",
            # Otherwise a query waits for all tasks of the one before.
            "spark.scheduler.mode": "FAIR",
            "spark.scheduler.allocation.file": f"file://{pools}",
            "spark.driver.maxResultSize": "1g",
            "spark.local.dir": self.folder / "local",
            "spark.sql.warehouse.dir": self.folder / "warehouse",
            "spark.sql.shuffle.partitions": 4,
            "spark.connect.progress.reportInterval": "200ms",
            # What a client leaves behind when it dies is stopped soon, so that a test can see it.
            "spark.connect.execute.manager.detachedTimeout": "15s",
            "spark.connect.execute.reattachable.senderMaxStreamDuration": "4s",
            "spark.connect.execute.manager.maintenanceInterval": "1s",
        }
        if self._token:
            settings["spark.connect.authenticate.token"] = self._token
        arguments = [str(home / "bin" / "spark-submit"), "--master", "local[2]", "--driver-memory", _HEAP]
        for name, value in settings.items():
            arguments += ["--conf", f"{name}={value}"]
        # The word that stands for a JAR when the class is one of Spark's own.
        arguments += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
        environment = {"SPARK_HOME": str(home), "JAVA_HOME": _java_home(), "SPARK_LOCAL_IP": "127.0.0.1"}
        self.run(arguments, environment, cwd=self.folder)
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            ready = grpc.channel_ready_future(channel)
            for _ in range(int(_START_SECONDS)):
                try:
                    ready.result(1.0)
                    return
                except grpc.FutureTimeoutError:
                    self.alive()
            ready.cancel()
        raise TimeoutError(f"Spark does not answer after {_START_SECONDS:.0f} s")

    def error_conditions(self) -> dict[str, str]:
        """The SQLSTATE of every error condition that this Spark knows, by name; empty for one without a state."""
        jars = cache_folder() / packages_name(_LOCK) / "pyspark" / "jars"
        (jar,) = jars.glob("spark-common-utils_*.jar")
        with zipfile.ZipFile(jar) as archive:
            conditions = json.loads(archive.read("error/error-conditions.json"))
        return {name: condition.get("sqlState", "") for name, condition in conditions.items()}

    def options(self) -> dict[str, Any]:
        return {"url": f"sc://127.0.0.1:{self.port}", "token": self._token}


def _java_home() -> str:
    chosen = os.environ.get("JAVA_HOME", "")
    if chosen:
        return chosen
    for pattern in _JAVA_HOMES:
        for path in sorted(Path("/").glob(pattern.lstrip("/"))):
            if (path / "bin" / "java").exists():
                return str(path)
    found = shutil.which("java")
    return str(Path(found).resolve().parents[1]) if found else ""
