"""What each kind of Value arrives as on each engine, with a type and without: by the engine's `typeof`, and by value.

The expectations are data, in parameters.yaml; docs/engines.md shows them as a table.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cases import CASES, SCRIPTED
from comparing import number_of, same
from engine_case import EngineCase
from google.protobuf.json_format import ParseDict
from type_files import REFUSED, parameter_records

from queryengine.codec.implied import implied
from queryengine.codec.rows import decode_rows
from queryengine.codec.types import from_data_type
from queryengine.codec.values import MisfitError, decode_parameters
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.submission import WideIntegers
from queryengine.engines.base import Engine, Statement
from queryengine.v1.result_pb2 import Row, RowSet
from queryengine.v1.value_pb2 import Parameter, ParameterList, Value
from tests.carrying import table_of

TYPEOF = {
    "clickhouse": "SELECT toTypeName(a) AS t, a FROM (SELECT ? AS a)",
    "duckdb": "SELECT typeof($a) AS t, $a AS a",
    "generic": "SELECT pg_typeof(a)::text AS t, a FROM (SELECT :a AS a) AS s",
    "postgresql": "SELECT pg_typeof(a)::text AS t, a FROM (SELECT :a AS a) AS s",
    "spark": "SELECT typeof(:a) AS t, :a AS a",
    "sqlite": "SELECT typeof(:a) AS t, :a AS a",
    "trino": "SELECT typeof(:a) AS t, :a AS a",
}
RECORDS = {record["kind"]: record for record in parameter_records()}


@pytest.fixture(scope="module", params=[case for case in CASES if case is not SCRIPTED], ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> EngineCase:
    return request.param


@pytest.fixture(scope="module")
def engine(case: EngineCase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = case.open(tmp_path_factory.mktemp("parameters"))
    yield engine
    engine.close()


@pytest.mark.parametrize("kind", RECORDS)
def test_a_value_arrives_as_its_type(case: EngineCase, engine: Engine, kind: str) -> None:
    parameter = parameter_of(RECORDS[kind], name="" if case.name == "clickhouse" else "a")
    expected = RECORDS[kind]["arrives"][case.name]
    try:
        found, arrived = arrives(engine, TYPEOF[case.name], parameter)
    except MisfitError:
        found = REFUSED
    except QueryEngineError as cause:
        is_off = cause.failure.message.startswith("[UNSUPPORTED_TIME_TYPE]")
        assert is_off or cause.failure.reason is Reason.PARAMETER_MISMATCH, cause  # noqa: PT017 - others are no refusals
        found = REFUSED
    assert found == expected
    if found != REFUSED:
        sent = sent_value(parameter)
        assert same(sent, arrived) or not (sent.is_valid or arrived.is_valid), (number_of(sent), number_of(arrived))


def parameter_of(record: dict[str, Any], name: str) -> Parameter:
    typed = {"type": record["type"]} if "type" in record else {}
    return ParseDict({"name": name, "value": record["value"], **typed}, Parameter())


def arrives(engine: Engine, sql: str, parameter: Parameter) -> tuple[str, pa.Scalar]:
    """The engine's type for it, and the value that comes back."""
    encoded = ParameterList(parameters=[parameter]).SerializeToString()
    statement = Statement(sql=sql, query_id="q", parameters=decode_parameters(encoded))
    with engine.open(statement) as execution:
        table = table_of(execution, WideIntegers.DECIMAL256)
    return table.column("t")[0].as_py(), table.column("a")[0]


def sent_value(parameter: Parameter) -> pa.Scalar:
    value, data_type = parameter.value, parameter.type
    if not parameter.HasField("type"):
        value, data_type = implied(value)
    encoded = RowSet(rows=[Row(values=[value])]).SerializeToString()
    return decode_rows(encoded, pa.schema([("a", from_data_type(data_type))])).column(0)[0]


# ---- whole numbers without a type

WIDE_PRODUCT = "SELECT {a} * {b} AS p"
SHORT_PLACES = {
    "duckdb": ["CAST(DATE '2024-01-01' + {a} AS VARCHAR)", "CAST(lpad('a', {a}, 'x') AS VARCHAR)", "round(1.25, {a})"],
    "postgresql": [
        "(DATE '2024-01-01' + {a})::text",
        "lpad('a', {a}, 'x')",
        "(ARRAY[1, 2, 3])[{a}]",
        "round(1.25, {a})",
    ],
    "spark": [
        "date_add(DATE'2024-01-01', {a})",
        "lpad('a', {a}, 'x')",
        "(SELECT count(*) FROM (FROM range(9) LIMIT {a}))",
    ],
}


@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name, places in SHORT_PLACES.items() for place in places]
)
def test_a_place_that_takes_no_more_than_32_bits_gets_them(tmp_path: Path, name: str, place: str) -> None:
    mark = "$" if name == "duckdb" else ":"
    engine = next(case for case in CASES if case.name == name).open(tmp_path)
    try:
        found = one(engine, f"SELECT {place.format(a=f'{mark}a')} AS v", a=2)
        assert found == one(engine, f"SELECT {place.format(a='2')} AS v")
        with pytest.raises(QueryEngineError) as caught:
            one(engine, f"SELECT {place.format(a=f'{mark}a')} AS v", a=2**31)
        assert caught.value.failure.reason is Reason.STATEMENT_REJECTED
    finally:
        engine.close()


def test_a_product_of_whole_numbers_has_64_bits(case: EngineCase, engine: Engine) -> None:
    mark = {"duckdb": "${}", "clickhouse": "?"}.get(case.name, ":{}")
    sql = WIDE_PRODUCT.format(a=mark.format("a"), b=mark.format("b"))
    if case.name == "generic":
        pytest.skip("psycopg2 writes numbers into the text, and PostgreSQL reads them by their size")
    assert one(engine, sql, a=2_000_000_000, b=2) == 4_000_000_000


def test_what_does_not_bind_either_way_is_told_as_it_was_first(case: EngineCase, engine: Engine) -> None:
    if case.name not in SHORT_PLACES:
        pytest.skip("binds once")
    mark = "$a" if case.name == "duckdb" else ":a"
    with pytest.raises(QueryEngineError) as caught:
        one(engine, f"SELECT 1,\n  nope({mark})", a=2)
    failure = caught.value.failure
    assert "nope" in failure.message
    assert failure.position is None or failure.position.line == 2
    assert one(engine, f"SELECT {mark} AS v", a=2) == 2


def one(engine: Engine, sql: str, **values: int) -> Any:
    """The one value of a query; parameters are sent without types, positional where the text has question marks."""
    parameters = [
        Parameter(name="" if "?" in sql else name, value=Value(int_value=value)) for name, value in values.items()
    ]
    encoded = ParameterList(parameters=parameters).SerializeToString()
    with engine.open(Statement(sql=sql, query_id="q", parameters=decode_parameters(encoded))) as execution:
        return table_of(execution).column(0)[0].as_py()
