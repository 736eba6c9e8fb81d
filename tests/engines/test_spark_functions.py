"""Spark's own functions: each was looked at for whether it reaches beyond the tables of a query."""

import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.kit.calls import computing
from queryengine.engines.spark.check import check
from queryengine.engines.spark.client import Connection, Proto, Session, proto
from tests.servers.server import shared
from tests.servers.spark import SparkServer

COMPUTING = computing("queryengine.engines.spark")
HARMLESS = frozenset(Path(__file__).with_name("spark_functions.txt").read_text().split())
"""Those of Spark 4.2 that tell of the session or of the file of a row, and may be called where no policy forbids it."""
REFUSED = {
    "reflect": "reflect('x', 'y')",
    "java_method": "java_method('x', 'y')",
    "try_reflect": "try_reflect('x', 'y')",
    "from_protobuf": "from_protobuf(a, 'M')",
    "to_protobuf": "to_protobuf(a, 'M')",
    "python_worker_logs": "python_worker_logs()",
    "from_xml": "from_xml(a, 'b int', map('mode', 'FAILFAST'))",
    "from_avro": "from_avro(a, 'b', map('mode', 'FAILFAST'))",
    "schema_of_xml": "schema_of_xml(a, map('mode', 'FAILFAST'))",
    "schema_of_avro": "schema_of_avro(a, map('mode', 'FAILFAST'))",
}
"""The others, in a call that is refused."""


@pytest.fixture
def session() -> Iterator[Session]:
    connection = Connection(
        shared(SparkServer).options()["url"].removeprefix("sc://"), user="tester", token="", use_ssl=False
    )
    session = Session(connection)
    session.configure({})
    yield session
    session.release()
    connection.close()


def answers(session: Session, plan: Proto) -> list[Proto]:
    return list(session.operation(plan, [], time.monotonic() + 60.0).responses())


def test_every_function_of_the_server_was_looked_at(session: Session) -> None:
    command = proto.SqlCommand(input=proto.Relation(sql=proto.SQL(query="SHOW SYSTEM FUNCTIONS")))
    shown = answers(session, proto.Plan(command=proto.Command(sql_command=command)))
    (result,) = [each.sql_command_result for each in shown if each.HasField("sql_command_result")]
    batches = [
        each.arrow_batch.data
        for each in answers(session, proto.Plan(root=result.relation))
        if each.HasField("arrow_batch")
    ]
    functions = {name for data in batches for name in pa.ipc.open_stream(data).read_all().column(0).to_pylist()}
    assert len(functions) > 500
    assert sorted(functions - COMPUTING - HARMLESS - set(REFUSED)) == []
    assert not COMPUTING & (HARMLESS | set(REFUSED))


@pytest.mark.parametrize("name", REFUSED)
def test_a_function_that_reaches_out_is_refused(name: str) -> None:
    first, _, rest = REFUSED[name].partition("(")
    for call in (
        REFUSED[name],
        f"`{first}` /* x */ ({rest}",
        f"system.builtin.{first.upper()}({rest}",
        f'"{first}"({rest}',
    ):
        with pytest.raises(QueryEngineError) as caught:
            check(f"SELECT a, array({call}) FROM t")
        assert caught.value.failure.reason is Reason.STATEMENT_NOT_ALLOWED
        assert name in caught.value.failure.message
