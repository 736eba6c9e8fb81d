"""The ends of DuckDB's types from SQL to the terminal: printed as text that reads back, or refused by name."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from queryengine.app.service import Service
from queryengine.client import AsyncClient
from tests.support import FAILED, ROOT, WAIT, Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

VALUES = {
    "'infinity'::TIMESTAMP": "infinity",
    "'-infinity'::TIMESTAMP": "-infinity",
    "'-infinity'::DATE": "-infinity",
    "'infinity'::TIMESTAMPTZ": "infinity",
    "'infinity'::TIMESTAMP_S": "infinity",
    "'-infinity'::TIMESTAMP_MS": "-infinity",
    "['infinity'::DATE]": ["infinity"],
    "{'a': '-infinity'::TIMESTAMP}": {"a": "-infinity"},
    "MAP {'k': 'infinity'::TIMESTAMPTZ}": [["k", "infinity"]],
    "'24:00:00'::TIME": "24:00:00.000000",
    "DATE '10000-01-01'": "10000-01-01",
    "'0044-03-15 (BC)'::DATE": "-0043-03-15",
    "'NaN'::DOUBLE": "NaN",
    "'-inf'::FLOAT": "-Infinity",
    "INTERVAL '-1' MONTH": "-1 month",
}
SQL = f"SELECT {', '.join(f'{value} AS c{number}' for number, value in enumerate(VALUES))}"


async def run(api: Api, service: Service, *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command line."""
    command = (sys.executable, "-m", "queryengine", *words, "--server", service.address, "--tenant", api.tenant)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe)
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


async def test_every_value_is_printed_as_itself(api: Api, service: Service) -> None:
    code, output, errors = await run(api, service, "sql", SQL, "-f", "json")
    assert (code, errors) == (0, "")
    assert list(json.loads(output).values()) == list(VALUES.values())
    code, output, _ = await run(api, service, "sql", SQL)
    assert code == 0
    assert "out of range" not in output
    cells = [cell.strip() for cell in output.splitlines()[-1].split("│")]
    assert cells[:6] == ["infinity", "-infinity", "-infinity", "infinity", "infinity", "-infinity"]


async def test_what_a_format_cannot_hold_ends_with_an_exit_code(api: Api, service: Service, tmp_path: Path) -> None:
    target = tmp_path / "rows.parquet"
    for sql in ("SELECT INTERVAL '1' MONTH AS x", "SELECT 'infinity'::TIMESTAMP_S AS x"):
        code, _, errors = await run(api, service, "sql", sql, "-o", str(target))
        assert code == 2
        assert "the format cannot hold these rows" in errors
        query_id = (await api.submit(sql, wait_timeout=WAIT)).status.query_id
        code, _, errors = await run(api, service, "fetch", query_id, "-o", str(target))
        assert code == 2
        assert "the format cannot hold these rows" in errors
        assert "Traceback" not in errors
    assert not await asyncio.to_thread(target.exists)


async def test_python_gets_no_other_value(api: Api, service: Service) -> None:
    async with AsyncClient(service.address, tenant=api.tenant) as client:
        for value in ("'infinity'::DATE", "'24:00:00'::TIME", "['-infinity'::TIMESTAMP]"):
            result = await client.query(f"SELECT 1 AS a, CASE WHEN n = 3 THEN {value} END AS b FROM range(5) AS s (n)")
            with pytest.raises(OverflowError, match="row 3, column 'b'"):
                await result.to_pylist()


@pytest.mark.parametrize("value", ["'infinity'::TIMESTAMP_NS", "['-infinity'::TIMESTAMP_NS]"])
async def test_infinity_in_nanoseconds_is_refused_by_name(api: Api, value: str) -> None:
    status = (await api.submit(f"SELECT {value} AS x", wait_timeout=WAIT)).status
    assert (status.state, status.error.reason) == (FAILED, "STATEMENT_REJECTED")
    assert "TIMESTAMP_NS" in status.error.message


async def test_a_parameter_of_the_command_line_may_have_any_letters(api: Api, service: Service) -> None:
    words = ("sql", "SELECT $größe + 1 AS a, $größe || '' AS b", "-p", "größe=41", "-f", "json")
    assert await run(api, service, *words) == (0, '{"a": 42, "b": "41"}\n', "")
