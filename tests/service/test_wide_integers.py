"""Numbers of more than 64 bits arrive in a type that other tools read, as text when asked, or not at all."""

import asyncio
import sys
import uuid
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from queryengine.app.service import Service
from queryengine.client import AsyncClient, Client, QueryFailed
from queryengine.domain.submission import WideIntegers
from queryengine.v1 import result_pb2, value_pb2
from tests.support import ROOT, ROWS, WAIT, Api, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

SUM = "SELECT sum(range) AS total FROM range(10)"
BEYOND = "SELECT 170141183460469231731687303715884105727::HUGEINT AS h"


async def read(api: Api, service: Service, sql: str, how: WideIntegers | str = "fail") -> pa.Table:
    async with AsyncClient(service.address, tenant=api.tenant) as client:
        return await (await client.submit(sql, wide_integers=how)).result().to_arrow()


async def test_a_sum_is_a_number_of_38_digits(api: Api, service: Service) -> None:
    table = await read(api, service, SUM)
    assert table.schema.field("total").type == pa.decimal128(38, 0)
    assert table.to_pylist() == [{"total": Decimal(45)}]
    assert table.schema.field("total").metadata == {b"engine_type": b"HUGEINT"}
    assert table.to_pandas(types_mapper=pd.ArrowDtype)["total"].sum() == 45


@pytest.mark.parametrize(
    ("how", "kind", "value"),
    [
        ("string", pa.string(), str(2**127 - 1)),
        ("decimal256", pa.decimal256(39, 0), Decimal(2**127 - 1)),
        (WideIntegers.DECIMAL256, pa.decimal256(39, 0), Decimal(2**127 - 1)),
    ],
)
async def test_all_digits_are_there_when_asked(
    api: Api, service: Service, how: str, kind: pa.DataType, value: str | Decimal
) -> None:
    table = await read(api, service, BEYOND, how)
    assert table.schema.field("h").type == kind
    assert table.to_pylist() == [{"h": value}]


async def test_more_digits_fail_with_words_on_what_to_do(api: Api, service: Service) -> None:
    with pytest.raises(QueryFailed, match=r'CAST it in the query.*wide_integers "string" or "decimal256"') as caught:
        await read(api, service, BEYOND)
    assert caught.value.reason == "STATEMENT_REJECTED"


async def test_typed_rows_carry_the_same(api: Api) -> None:
    options = {
        result_pb2.WIDE_INTEGERS_UNSPECIFIED: value_pb2.Value(decimal_value="45"),
        result_pb2.WIDE_INTEGERS_FAIL: value_pb2.Value(decimal_value="45"),
        result_pb2.WIDE_INTEGERS_STRING: value_pb2.Value(string_value="45"),
        result_pb2.WIDE_INTEGERS_DECIMAL256: value_pb2.Value(decimal_value="45"),
    }
    for how, value in options.items():
        result = result_pb2.ResultOptions(wide_integers=how, inline_format=ROWS)
        reply = await api.submit(SUM, result=result, wait_timeout=WAIT)
        assert [list(row.values) for page in reply.pages for row in page.rows.rows] == [[value]]


async def test_another_choice_is_another_request(api: Api) -> None:
    query_id = str(uuid.uuid4())
    same = result_pb2.ResultOptions(wide_integers=result_pb2.WIDE_INTEGERS_FAIL)
    other = result_pb2.ResultOptions(wide_integers=result_pb2.WIDE_INTEGERS_STRING)
    assert not (await api.submit(SUM, query_id=query_id)).existing
    assert (await api.submit(SUM, query_id=query_id, result=same)).existing
    refusal = await refused(api.submit(SUM, query_id=query_id, result=other))
    assert refusal.reason == "QUERY_ID_REUSED"


async def test_python_and_the_command_line_have_the_option(api: Api, service: Service) -> None:
    def blocking() -> pa.Table:
        with Client(service.address, tenant=api.tenant) as client:
            return client.query(BEYOND, wide_integers="string").to_arrow()

    assert (await asyncio.to_thread(blocking)).to_pylist() == [{"h": str(2**127 - 1)}]
    words = ("sql", BEYOND, "-f", "csv", "--server", service.address, "--tenant", api.tenant)
    assert await command(*words, "--wide-integers", "string") == (0, f'"h"\n"{2**127 - 1}"\n', "")
    code, _, errors = await command(*words)
    assert code == 2
    assert "wide_integers" in errors


async def command(*words: str) -> tuple[int | None, str, str]:
    """Exit code, output and errors of the command line."""
    pipe = asyncio.subprocess.PIPE
    arguments = (sys.executable, "-m", "queryengine", *words)
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, stdout=pipe, stderr=pipe)
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()
