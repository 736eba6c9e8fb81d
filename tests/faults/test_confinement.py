"""Workers of embedded engines reach nothing but what their engine needs, whatever an engine lets through."""

import json
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from queryengine.engines.kit.reach import reach
from queryengine.v1 import query_service_pb2 as pb
from queryengine.workers import landlock, seccomp
from queryengine.workers.confinement import environment
from tests.process_memory import memory_holds
from tests.support import COMPLETED, ROOT, WAIT, served

needs_landlock = pytest.mark.skipif(not landlock.version(), reason="landlock is not in this kernel")
needs_seccomp = pytest.mark.skipif(
    not seccomp.is_known(), reason=f"seccomp filters are not known for {platform.machine()}"
)

SECRET = "canary-of-another-file"
PREPARE = "c = duckdb.connect(':memory:', config={'threads': 2}); "

Inside = Callable[..., list[Any]]


@pytest.fixture
def inside(tmp_path: Path) -> Inside:
    """Run code in a confined process: what holds there, then "ok" and what it found, or an exception and its text."""
    for name in ("lake", "spill", "spool", "outside"):
        (tmp_path / name).mkdir()
    duckdb.execute(f"COPY (SELECT 1 AS a) TO '{tmp_path}/lake/t.parquet'")
    (tmp_path / "spool" / "of_another_query").write_text(SECRET)
    (tmp_path / "outside" / "secret.csv").write_text(f"a\n{SECRET}\n")
    (tmp_path / "lake" / "link").symlink_to(tmp_path / "outside")

    def run(code: str, engine_type: str = "duckdb", **options: object) -> list[Any]:
        if engine_type == "duckdb":
            options = {"directory": str(tmp_path / "lake"), "temp_directory": str(tmp_path / "spill"), **options}
        header = {"confine": True, "engine_type": engine_type, "options": options, "spool": str(tmp_path / "spool")}
        code = code.replace("{tmp}", str(tmp_path))
        command = [sys.executable, "-m", "tests.faults.confined_worker", json.dumps(header), code]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)

    return run


def test_what_holds_is_said(inside: Inside) -> None:
    holds, *_ = inside("")
    abi = landlock.version()
    assert holds[0] == (f"landlock (ABI {abi})" if abi else "landlock is not in this kernel")
    assert holds[1] == ("seccomp" if seccomp.is_known() else "seccomp is not known for this machine")


ALLOWED = {
    "its folder": "found = c.execute(\"FROM '{tmp}/lake/t.parquet'\").fetchall()",
    "threads": "found = c.execute('SELECT sum(range) FROM range(1000000)').fetchall()",
    "more threads": "t = threading.Thread(target=lambda: None); t.start(); t.join()",
    "time zones": "c.execute(\"SET TimeZone = 'Asia/Tokyo'\"); c.execute('SELECT now()::VARCHAR').fetchall()",
    "a result": "os.makedirs('{tmp}/spool/t/q/1'); open('{tmp}/spool/t/q/1/0.seg', 'wb').write(b'x'); "
    "os.remove('{tmp}/spool/t/q/1/0.seg'); os.removedirs('{tmp}/spool/t/q/1')",
    "its own spill": "path = f'{tmp}/spill/duckdb-worker-{os.getpid()}'; assert os.stat(path).st_mode == 0o40700; "
    'c.execute("SET temp_directory = \'" + path + "\'"); c.execute("SET memory_limit = \'60MB\'"); '
    "c.execute('CREATE TABLE big AS SELECT range AS a, hash(range)::VARCHAR AS b FROM range(2000000) ORDER BY b'); "
    "found = len(os.listdir(path))",
    "modules": "import zoneinfo, decimal, pyarrow.compute, sqlalchemy",
    "a socket that is open already": "os.write(2, b'')",
}


@pytest.mark.parametrize("what", ALLOWED)
def test_what_an_engine_needs_works(inside: Inside, what: str) -> None:
    _, outcome, found = inside(PREPARE + ALLOWED[what])
    assert outcome == "ok", found


FILES = {
    "a file by path": "found = c.execute(\"FROM read_text('{tmp}/outside/secret.csv')\").fetchall()",
    "a file through a link in its folder": "c.execute(\"FROM read_text('{tmp}/lake/link/secret.csv')\").fetchall()",
    "a file beside its folder": "found = c.execute(\"FROM read_csv('{tmp}/lake/../outside/secret.csv')\").fetchall()",
    "a result of another query": "found = open('{tmp}/spool/of_another_query').read()",
    "the spill of another worker": "found = os.listdir('{tmp}/spill')",
    "passwords": "found = open('/etc/passwd').read()",
    "its environment": "found = open('/proc/self/environ').read()",
    "the environment of the server": "found = open(f'/proc/{os.getppid()}/environ').read()",
    "its memory": "found = open('/proc/self/mem', 'rb')",
    "home": "found = os.listdir(os.path.expanduser('~'))",
    "the settings": f"found = open('{ROOT}/pyproject.toml').read()",
    "a write to its folder": "c.execute(\"COPY (SELECT 1) TO '{tmp}/lake/new.csv'\")",
    "a write elsewhere": "open('{tmp}/outside/new', 'w')",
    "a removal": "os.remove('{tmp}/outside/secret.csv')",
    "a database elsewhere": "c.execute(\"ATTACH '{tmp}/outside/x.db' AS x\")",
    "an extension": "c.execute(\"LOAD '{tmp}/outside/x.duckdb_extension'\")",
    "a signal to another process": "os.kill(os.getppid(), 0)",
}


@needs_landlock
@pytest.mark.parametrize("what", FILES)
def test_files_out_of_reach_cannot_be_touched(inside: Inside, tmp_path: Path, what: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    _, outcome, said = inside(PREPARE + FILES[what])
    assert outcome in ("PermissionError", "IOException", "PermissionException"), said
    assert SECRET not in said
    assert [path for path in sorted(tmp_path.rglob("*")) if "spill" not in path.parts] == [
        path for path in before if "spill" not in path.parts
    ]


CALLS = {
    "a TCP socket": "socket.socket()",
    "a Unix socket": "socket.socket(socket.AF_UNIX)",
    "a raw socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW)",
    "a netlink socket": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "a socket from a thread that ran before": "c.execute(\"FROM read_csv('http://127.0.0.1:1/x.csv')\")",
    "a program": "subprocess.run(['/bin/true'])",
    "a shell": "assert os.system('true') == 0, 'Permission denied'",
    "a process": "import ctypes; l = ctypes.CDLL(None, use_errno=True); r = l.fork(); "
    "assert r >= 0, os.strerror(ctypes.get_errno())",
    "an io_uring": "import ctypes; l = ctypes.CDLL(None, use_errno=True); r = l.syscall(425, 8, bytes(120)); "
    "assert r >= 0, os.strerror(ctypes.get_errno())",
    "ptrace": "import ctypes; l = ctypes.CDLL(None, use_errno=True); r = l.ptrace(16, os.getppid(), 0, 0); "
    "assert r >= 0, os.strerror(ctypes.get_errno())",
}


@needs_seccomp
@pytest.mark.parametrize("what", CALLS)
def test_calls_that_were_given_up_fail(inside: Inside, what: str) -> None:
    _, outcome, said = inside(PREPARE + CALLS[what])
    assert outcome != "ok"
    assert "Permission denied" in said or "httpfs" in said


# ---- SQLite


def database(path: Path, *, wal: bool, value: int = 1) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        connection.execute("CREATE TABLE t (a INTEGER)")
        connection.execute("INSERT INTO t VALUES (?)", [value])
    connection.close()


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("wal", [False, True], ids=["journal", "WAL"])
async def test_sqlite_reads_its_database(tmp_path: Path, wal: bool) -> None:
    """Also one that another process writes to, one that nobody has open, and another one in its place."""
    path = tmp_path / "data" / "x y.db"
    path.parent.mkdir()
    database(path, wal=wal)
    engines = {"lite": {"type": "sqlalchemy", "workers": 1, "options": {"url": f"sqlite:///{path}"}}}
    async with served(tmp_path / "state", engines=engines) as (_, api):

        async def rows() -> int:
            reply = await api.submit(f"SELECT count(*) AS n FROM t WHERE a < {1000 + next(numbers)}", wait_timeout=WAIT)
            assert reply.status.state == COMPLETED, reply.status.error
            return reply.end.total_rows

        numbers = iter(range(100))
        assert await rows() == 1
        writer = sqlite3.connect(path)
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        assert await rows() == 1
        writer.close()
        assert await rows() == 1
        database(tmp_path / "data" / "new.db", wal=wal)
        (tmp_path / "data" / "new.db").replace(path)
        assert await rows() == 1


@needs_landlock
@pytest.mark.parametrize("wal", [False, True], ids=["journal", "WAL"])
def test_sqlite_cannot_reach_other_files(inside: Inside, tmp_path: Path, wal: bool) -> None:
    (tmp_path / "data").mkdir()
    database(tmp_path / "data" / "x.db", wal=wal)
    database(tmp_path / "outside" / "other.db", wal=wal)
    url = f"sqlite:///{tmp_path}/data/x.db"
    read = "found = sqlite3.connect('file:{tmp}/%s?mode=ro', uri=True).execute('SELECT a FROM t').fetchall()"
    assert inside(read % "data/x.db", "sqlalchemy", url=url)[1:] == ["ok", [[1]]]
    assert inside(read % "outside/other.db", "sqlalchemy", url=url)[1] == "OperationalError"
    write = "sqlite3.connect('{tmp}/data/x.db').execute('DELETE FROM t')"
    assert wal or inside(write, "sqlalchemy", url=url)[1] == "OperationalError"


# ---- through the service


@pytest.mark.asyncio(loop_scope="session")
async def test_workers_of_embedded_engines_are_confined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, spawned_templates: None
) -> None:
    """Those of an engine that is elsewhere keep their variables, apart from settings of the service."""
    monkeypatch.setenv("SECRET_OF_ANOTHER", SECRET)
    monkeypatch.setenv("QUERYENGINE_LOG__LEVEL", "info")
    database(tmp_path / "x.db", wal=False)
    caplog.set_level("INFO", "queryengine")
    engines = {
        "duck": {"type": "duckdb", "workers": 2},
        "lite": {"type": "sqlalchemy", "workers": 1, "options": {"url": f"sqlite:///{tmp_path}/x.db"}},
        "free": {"type": "duckdb", "workers": 1, "confine": False},
        "scripted": {"type": "scripted", "workers": 1},
    }
    async with served(tmp_path / "state", engines=engines) as (service, api):
        for engine, confined in (("duck", True), ("lite", True), ("free", False), ("scripted", False)):
            for pid in service.pool.load(engine).worker_pids:
                assert memory_holds(pid, f"SECRET_OF_ANOTHER={SECRET}".encode()) != confined
                assert not memory_holds(pid, b"QUERYENGINE_LOG__LEVEL=")
                assert seccomp_mode(pid) == (b"2" if confined and seccomp.is_known() else b"0")
            if engine != "scripted":
                assert (await api.submit("SELECT 1 AS a", engine=engine, wait_timeout=WAIT)).status.state == COMPLETED
        for engine in ("duck", "lite"):
            (said,) = [
                line for line in caplog.messages if line.startswith(f"workers of engine {engine} are confined: ")
            ]
            assert "landlock" in said
            assert "seccomp" in said
        listed = {
            each.name: list(each.confinement)
            for each in (await api.call("ListEngines", pb.ListEnginesRequest())).engines
        }
        assert listed["free"] == listed["scripted"] == []
        assert listed["duck"] == listed["lite"]
        assert said.endswith("; ".join(listed["lite"]))


def seccomp_mode(pid: int) -> bytes:
    lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()
    return next(line for line in lines if line.startswith(b"Seccomp:")).split()[1]


@pytest.mark.asyncio(loop_scope="session")
async def test_a_confined_worker_spills_and_leaves_nothing_to_others(tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    options = {"memory_limit": "100MB", "temp_directory": str(spill)}
    engines = {"duckdb": {"type": "duckdb", "workers": 1, "options": options}}
    left = spill / "duckdb-worker-999999999"
    left.mkdir(parents=True)
    async with served(tmp_path / "state", engines=engines) as (service, api):
        rows = "SELECT range AS a, hash(range)::VARCHAR AS b FROM range(4000000)"
        sql = f"SELECT max(b) FROM ({rows} ORDER BY b, a OFFSET 1)"
        reply = await api.submit(sql, wait_timeout=WAIT)
        assert reply.status.state == COMPLETED, reply.status.error
        (pid,) = service.pool.load("duckdb").worker_pids
        (folder,) = spill.iterdir()
        assert folder.name == f"duckdb-worker-{pid}"
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.asyncio(loop_scope="session")
async def test_init_sql_reads_what_it_is_given(tmp_path: Path) -> None:
    duckdb.execute(f"COPY (SELECT 7 AS a) TO '{tmp_path}/given.csv'")
    sql = [f"CREATE TABLE t AS FROM '{tmp_path}/given.csv'"]
    given = {"init_sql": sql, "init_paths": [f"{tmp_path}/given.csv"]}
    engines = {"given": {"type": "duckdb", "workers": 1, "options": given}}
    async with served(tmp_path / "state", engines=engines) as (_, api):
        assert (await api.submit("FROM t", wait_timeout=WAIT)).end.total_rows == 1


@pytest.mark.asyncio(loop_scope="session")
async def test_a_folder_that_was_replaced_is_read_by_a_new_worker(tmp_path: Path) -> None:
    lake, options = tmp_path / "lake", {"directory": str(tmp_path / "lake")}
    for folder, value in ((lake, 1), (tmp_path / "new", 2)):
        folder.mkdir()
        duckdb.execute(f"COPY (SELECT {value} AS a) TO '{folder}/t.parquet'")
    async with served(tmp_path / "state", engines={"duckdb": {"type": "duckdb", "workers": 1, "options": options}}) as (
        service,
        api,
    ):
        first = await api.submit("SELECT a FROM t WHERE a = 1", wait_timeout=WAIT)
        assert first.end.total_rows == 1
        former = service.pool.load("duckdb").worker_pids
        lake.rename(tmp_path / "old")
        (tmp_path / "new").rename(lake)
        second = await api.submit("SELECT a FROM t WHERE a = 2", wait_timeout=WAIT)
        assert (second.status.state, second.end.total_rows) == (COMPLETED, 1), second.status.error
        assert (service.pool.load("duckdb").worker_pids == former) == (not landlock.version())


# ---- without a process


def test_variables_that_a_confined_worker_keeps() -> None:
    given = {"PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "/x", "AWS_SECRET_ACCESS_KEY": "s", "PGPASSWORD": "s"}
    ours = {"QUERYENGINE_ENGINES__PG__OPTIONS__URL": "s", "queryengine_log__level": "info"}
    assert environment({**given, **ours}, confined=True) == {"PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "/x"}
    assert environment({**given, **ours}, confined=False) == given
    secrets = {"PYTHON_SECRET": "x", "WAREHOUSE": "y"}
    for confined in (True, False):
        without = environment({**given, **secrets}, confined=confined, withheld=secrets)
        assert without == environment(given, confined=confined)


@pytest.mark.parametrize(
    ("engine_type", "options", "expected"),
    [
        ("duckdb", {}, ((), (), "")),
        ("duckdb", {"path": "/d/x.db"}, (("/d/x.db", "/d/x.db.wal"), (), "")),
        ("duckdb", {"directory": "/lake", "temp_directory": "/spill"}, (("/lake",), (), "/spill")),
        ("duckdb", {"init_sql": ["SELECT 1"], "init_paths": ["/a"]}, (("/a", str(Path.home() / ".duckdb")), (), "")),
        ("duckdb", {"path": 3, "init_sql": 4, "init_paths": 5}, None),
        ("sqlalchemy", {"url": "sqlite:////data/a%20b/x.db"}, (("/data/a b",), (), "")),
        ("sqlalchemy", {"url": "sqlite+pysqlite:////data/x.db"}, (("/data",), (), "")),
        ("sqlalchemy", {"url": "postgresql://h/d"}, None),
        ("sqlalchemy", {}, None),
        ("clickhouse", {"url": "http://h"}, None),
    ],
)
def test_what_an_engine_reaches(engine_type: str, options: dict[str, object], expected: Any) -> None:
    found = reach(engine_type, options)
    if expected is not None:
        assert found is not None
        assert (found.read, found.write, found.spill) == expected
    elif engine_type != "duckdb":
        assert found is None
