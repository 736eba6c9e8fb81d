"""An empty result through every door: columns and no rows, never an error."""

import asyncio
from collections.abc import Callable, Mapping

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from queryengine.app.service import Service
from queryengine.cli.main import app
from queryengine.client import AsyncClient, Client
from tests.support import WAIT, Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

COLUMNS: Mapping[str, str] = {
    "int": "1::INTEGER",
    "uuid": "uuid()",
    "json": "'{}'::JSON",
    "interval": "INTERVAL 1 MONTH",
    "list": "[1]",
    "list_of_uuid": "[uuid()]",
    "struct_of_uuid": "{'a': uuid()}",
    "map_of_lists_of_uuid": "MAP {'k': [uuid()]}",
    "enum": "'a'::ENUM('a', 'b')",
    "null": "NULL",
}
SQL = f"SELECT {', '.join(f'{value} AS {name}' for name, value in COLUMNS.items())} WHERE false"


async def empty(api: Api) -> str:
    return str((await api.submit(SQL, wait_timeout=WAIT)).status.query_id)


async def test_both_clients_fetch_an_empty_page_with_columns(api: Api, service: Service) -> None:
    query_id = await empty(api)
    async with AsyncClient(service.address, tenant=api.tenant) as client:
        schema = await client.attach(query_id).result().schema()
        page = await client.attach(query_id).fetch_page()

    def blocking() -> pa.RecordBatch:
        with Client(service.address, tenant=api.tenant) as client:
            return client.attach(query_id).fetch_page(offset=0, page_size=7).batch

    for batch in (page.batch, await asyncio.to_thread(blocking)):
        assert batch.schema == schema
        assert batch.num_rows == 0
        batch.validate(full=True)
    assert schema.names == list(COLUMNS)
    assert (page.start_row, page.total_rows, page.next_page_token, page.prev_page_token) == (0, 0, "", "")


@pytest.mark.parametrize(
    ("form", "is_expected"),
    [
        ("csv", lambda text: text == '"' + '","'.join(COLUMNS) + '"\n'),
        ("json", lambda text: text == ""),
        ("table", lambda text: [word.strip() for word in text.splitlines()[0].split("┃")] == list(COLUMNS)),
    ],
)
async def test_the_command_line_fetches_an_empty_result(
    api: Api, service: Service, form: str, is_expected: Callable[[str], bool]
) -> None:
    words = ["fetch", await empty(api), "-f", form, "--server", service.address, "--tenant", api.tenant]
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert (done.exit_code, done.stderr) == (0, "(no rows of 0)\n")
    assert is_expected(done.stdout)
