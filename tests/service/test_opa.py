"""The real OPA as the decision point; `go install github.com/open-policy-agent/opa@v1.22.4` builds it."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.servers.cache import cache_folder
from tests.servers.server import free_port
from tests.support import COMPLETED, WAIT, Api, Received, refused, served, until_sync

pytestmark = pytest.mark.asyncio(loop_scope="session")

RULES = """
package sql

default decision := {"allow": false, "reason": "nothing allows it"}

decision := {"allow": true, "filters": {"main.orders": filters}} if {
    input.engine == "lite"
    input.principal.tenant == "acme"
    "main.orders" in input.tables
}

filters contains {"column": "owner", "operator": "eq", "value": input.principal.subject} if {
    not "tenant_admin" in input.principal.roles
}

filters contains {"column": "amount", "operator": "in", "values": [10, 20]}
"""


def opa() -> Path | None:
    found = shutil.which("opa")
    return Path(found) if found else next(cache_folder().glob("opa-*/opa"), None)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    program = opa()
    if program is None:
        pytest.skip("there is no opa on PATH")
    rules = tmp_path / "rules.rego"
    rules.write_text(RULES)
    address = f"127.0.0.1:{free_port()}"
    arguments = ["run", "--server", "--addr", address, "--disable-telemetry", str(rules)]
    with (tmp_path / "opa.log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], stdout=log, stderr=log)
    try:
        with urllib3.PoolManager(retries=False) as pool:

            def answers() -> bool:
                assert process.poll() is None, (tmp_path / "opa.log").read_text()
                try:
                    return pool.request("GET", f"http://{address}/health").status == 200
                except urllib3.exceptions.HTTPError:
                    return False

            until_sync(answers)
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


async def test_opa_allows_filters_and_denies(tmp_path: Path, url: str) -> None:
    database = tmp_path / "data.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, owner TEXT, amount INTEGER)")
        rows = [(1, "ann", 10), (2, "bob", 20), (3, "ann", 30)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
        connection.commit()
    relations = {"main.orders": {"columns": ["id", "owner", "amount"], "open": True}}
    groups: dict[str, Any] = {
        "engines": {"lite": {"type": "sqlalchemy", "workers": 1, "options": {"url": f"sqlite:///{database}"}}},
        "default_engine": "lite",
        "policies": {
            "decision_point": {"url": url, "path": "/v1/data/sql/decision", "timeout_seconds": 30},
            "engines": {"lite": {"relations": relations}},
        },
    }
    async with served(tmp_path / "state", **groups) as (_, api):
        ann = Api(api.channel, "acme", user="ann")
        status = (await ann.submit("SELECT id FROM orders", wait_timeout=WAIT)).status
        assert status.state == COMPLETED
        # Without authentication every caller is an admin of its tenant, too: all owners, two amounts.
        assert sorted(Received(await ann.stream(status.query_id).all()).table().column(0).to_pylist()) == [1, 2]
        for caller, sql in ((Api(api.channel, "globex", user="ann"), "SELECT id FROM orders"), (ann, "SELECT 1")):
            refusal = await refused(caller.submit(sql))
            assert refusal.reason == "POLICY_DENIED"
            assert "nothing allows it" in refusal.message
    # A rule that does not exist gives no result, which is no answer.
    groups["policies"]["decision_point"]["path"] = "/v1/data/sql/nothing"
    async with served(tmp_path / "other", **groups) as (_, api):
        assert (await refused(api.submit("SELECT 1"))).reason == "POLICY_UNAVAILABLE"
