"""A server over a folder of files, through worker processes: what is bad fails alone, and what changes is seen."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from queryengine.client import AsyncClient, QueryFailed
from queryengine.v1 import query_service_pb2 as pb
from tests.server_process import server_process
from tests.support import COMPLETED, WAIT, Api, serving, until

EVERY_NAME = ("good", "star*", "sales[2024]", "what?", "new\nline", "quo'te")


def engines(folder: Path) -> dict[str, Any]:
    return {"lake": {"type": "duckdb", "workers": 2, "options": {"directory": str(folder), "threads": 1}}}


async def value(client: AsyncClient, sql: str) -> Any:
    handle = await client.submit(sql)
    table = await handle.result().to_arrow()
    return table.column(0)[0].as_py()


async def test_bad_files_and_links_fail_alone_and_changes_are_seen(tmp_path: Path) -> None:
    folder = tmp_path / "k=v [lake]"
    folder.mkdir()
    for name in EVERY_NAME:
        (folder / f"{name}.csv").write_text(f"v\n{name[0]}{len(name)}\n")
    (folder / "bad.parquet").write_bytes(b"PAR1 half")
    (folder / "Orders.csv").write_text("v\n1\n")
    (folder / "orders.tsv").write_text("v\n2\n")
    (tmp_path / "secret.csv").write_text("v\nhunter2\n")
    (folder / "raw").symlink_to(tmp_path)
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    async with (
        serving(tmp_path / "state", engines=engines(folder)) as service,
        AsyncClient(service.address) as client,
    ):
        for name in EVERY_NAME:
            assert await value(client, f'FROM "{name}"') == f"{name[0]}{len(name)}"
        words = {
            "FROM bad": "bad.parquet is not a whole Parquet file",
            "FROM orders": "Orders.csv and orders.tsv would both be the view",
            "FROM raw": "raw is a link to a place outside the folder",
            "FROM link": "link.csv is a link to a place outside the folder",
            "FROM 'raw/secret.csv'": "there is no view raw/secret.csv",
            "FROM read_text('raw/../secret.csv')": "read_text",
            f"FROM read_blob('{folder}/raw/../proc/self/environ')": "read_blob",
        }
        for sql, part in words.items():
            with pytest.raises(QueryFailed, match=part) as caught:
                await value(client, sql)
            assert str(tmp_path) not in str(caught.value)
        # Twice each, so that both workers come by.
        for number in range(4):
            (folder / "changing.csv").write_text(f"v\nx{number}\n")
            assert await value(client, "FROM changing") == f"x{number}"
        (folder / "bad.parquet").rename(folder / "bad.csv")
        (folder / "bad.csv").write_text("v\nmended\n")
        (folder / "orders.tsv").unlink()
        for _ in range(2):
            assert await value(client, "FROM bad") == "mended"
            assert await value(client, "FROM orders") == 1


async def test_a_folder_that_is_replaced_or_a_link_that_leads_elsewhere_is_seen(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "t.csv").write_text(f"v\n{number}\n")
    current = tmp_path / "current"
    current.symlink_to("v1")
    async with (
        serving(tmp_path / "state", engines=engines(current)) as service,
        AsyncClient(service.address) as client,
    ):
        assert await value(client, "FROM t") == 1
        (tmp_path / "next").symlink_to("v2")
        (tmp_path / "next").rename(current)
        for _ in range(4):
            assert await value(client, "FROM t") == 2
        (tmp_path / "v2").rename(tmp_path / "former")
        (tmp_path / "v3").rename(tmp_path / "v2")
        for _ in range(4):
            assert await value(client, "FROM t") == 3


async def test_a_bad_file_is_logged_once_for_all_workers(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    folder.mkdir()
    (folder / "good.csv").write_text("v\n1\n")
    (folder / "half.parquet").write_bytes(b"PAR1 half")
    (folder / "empty.csv").touch()
    engine = {"type": "duckdb", "workers": 3, "options": {"directory": str(folder), "csv": {"z*": {"skip": 1}}}}
    with server_process(tmp_path, engines={"lake": engine}) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")

            async def all_are_up() -> bool:
                (listed,) = (await api.call("ListEngines", pb.ListEnginesRequest())).engines
                return bool(listed.available)

            await until(all_are_up)
            # As many at a time as there are workers, so that each has begun.
            slow = "SELECT count(*) FROM good, range(100000000) t(i) WHERE hash(i) = 1"
            replies = await asyncio.gather(*(api.submit(slow, engine="lake", wait_timeout=WAIT) for _ in range(3)))
            assert {reply.status.state for reply in replies} == {COMPLETED}
        lines = server.errors.splitlines()
    for view in ("half", "empty"):
        assert len([line for line in lines if f"view {view} cannot be read" in line]) == 1, lines
    assert len([line for line in lines if "no file has such a name" in line]) == 1, lines
