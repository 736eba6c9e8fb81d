"""ClickHouse's errors: each code that the server knows has a reason, and a user's mistakes are the user's."""

from collections.abc import Iterator

import pyarrow as pa
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.clickhouse.engine import ClickHouseEngine
from queryengine.engines.clickhouse.error_codes import CODES
from tests.executing import table
from tests.servers.clickhouse import ClickHouseServer
from tests.servers.server import shared


@pytest.fixture(scope="module")
def engine() -> Iterator[ClickHouseEngine]:
    engine = ClickHouseEngine("ch", shared(ClickHouseServer).options())
    yield engine
    engine.close()


def read(engine: ClickHouseEngine, sql: str) -> pa.Table:
    return table(engine, sql)


def test_every_code_of_the_server_is_sorted(engine: ClickHouseEngine) -> None:
    sql = "SELECT number AS code, errorCodeToName(number) AS name FROM numbers(1, 5000) WHERE name != ''"
    codes = {row["code"]: row["name"] for row in read(engine, sql).to_pylist()}
    assert len(codes) > 500
    unsorted = [f"{code}:{name}" for code, name in codes.items() if CODES.get(code, ("",))[0] != name]
    assert unsorted == []


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT * FROM numbers(3) FINAL", Reason.STATEMENT_REJECTED),
        ("SELECT * FROM cluster('nowhere', system.one)", Reason.STATEMENT_NOT_ALLOWED),
        ("SELECT throwIf(number = 2, 'boom') FROM numbers(3)", Reason.STATEMENT_REJECTED),
        ("SELECT toInt32('')", Reason.STATEMENT_REJECTED),
        ("SELECT toInt32('x')", Reason.STATEMENT_REJECTED),
        ("SELECT intDiv(1, 0)", Reason.STATEMENT_REJECTED),
        ("SELECT decrypt('aes-128-gcm', 'x', 'sixteen letters!', 'twelve chars')", Reason.STATEMENT_REJECTED),
        ("SELECT match('a', '(')", Reason.STATEMENT_REJECTED),
        ("SELECT * FROM nowhere.t", Reason.STATEMENT_REJECTED),
        ("SELECT (SELECT number FROM numbers(3))", Reason.STATEMENT_REJECTED),
    ],
)
def test_a_users_mistake_is_the_users(engine: ClickHouseEngine, sql: str, reason: Reason) -> None:
    with pytest.raises(QueryEngineError) as caught:
        read(engine, sql)
    assert caught.value.failure.reason is reason
