"""A typed parameter arrives exactly as it was sent, or is a PARAMETER_MISMATCH: every type, at the ends of its range
and beyond, on every engine, through the codec as in the service.
"""

import math
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cases import CASES, SCRIPTED
from comparing import DAY, number_of, same
from engine_case import EngineCase

from queryengine.codec.values import MisfitError, decode_parameters, encode_parameters
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.submission import WideIntegers
from queryengine.engines.base import Engine, Statement
from tests.carrying import table_of

FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31."""
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def of(number: int, kind: pa.DataType) -> pa.Scalar:
    """The value of a temporal type that this number of its units stands for."""
    narrow = pa.types.is_date32(kind) or pa.types.is_time32(kind)
    return pa.scalar(number, pa.int32() if narrow else pa.int64()).cast(kind)


def integers() -> Iterator[pa.Scalar]:
    for bits in (8, 16, 32, 64):
        signed, unsigned = getattr(pa, f"int{bits}")(), getattr(pa, f"uint{bits}")()
        yield from (pa.scalar(each, signed) for each in (-(2 ** (bits - 1)), -1, 2 ** (bits - 1) - 1))
        yield from (pa.scalar(each, unsigned) for each in (0, 2**bits - 1))
    ends = (2**63, -(2**63) - 1, 2**127 - 1, -(2**127))
    yield from (pa.scalar(Decimal(each), pa.decimal256(39, 0)) for each in ends)


def floats() -> Iterator[pa.Scalar]:
    wide = (0.1, -0.0, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, math.inf, -math.inf, math.nan)
    yield from (pa.scalar(each, pa.float64()) for each in wide)
    narrow = (0.1, -0.0, 1e-45, 3.4028234663852886e38, math.inf, -math.inf, math.nan)
    yield from (pa.scalar(each, pa.float32()) for each in narrow)


def decimals() -> Iterator[pa.Scalar]:
    for precision, scale in ((5, 2), (5, 5), (38, 0), (38, 38), (38, 10), (39, 1), (76, 0), (76, 38), (76, 76)):
        kind = pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
        for digits in (10**precision - 1, -(10**precision) + 1, 1, 0):
            text = f"{abs(digits):0{scale + 1}}"
            point = f"{text[:-scale]}.{text[-scale:]}" if scale else text
            yield pa.scalar(Decimal(f"-{point}" if digits < 0 else point), kind)
    yield pa.scalar(Decimal(12), pa.decimal128(4, 2)).cast(pa.decimal128(2, -1), safe=False)


def dates() -> Iterator[pa.Scalar]:
    ends = (0, FIRST_DAY, LAST_DAY, FIRST_DAY - 1, LAST_DAY + 1, -719_529, 106_751, 2**31 - 1, -(2**31), -(2**31) + 1)
    yield from (of(each, pa.date32()) for each in ends)


def timestamps() -> Iterator[pa.Scalar]:
    for unit, factor in PER_SECOND.items():
        ends = {0, 1, -1, FIRST_DAY * DAY * factor, LAST_DAY * DAY * factor + DAY * factor - 1}
        ends |= {FIRST_DAY * DAY * factor - 1, (LAST_DAY + 1) * DAY * factor, -(factor // 2), 2**32 * factor}
        ends |= {2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1, 2**62, -(10**18)}
        for zone in (None, "UTC"):
            kind = pa.timestamp(unit, zone)
            yield from (of(each, kind) for each in sorted(ends) if -(2**63) <= each < 2**63)


def times() -> Iterator[pa.Scalar]:
    for unit, factor in PER_SECOND.items():
        kind = pa.time32(unit) if unit in {"s", "ms"} else pa.time64(unit)
        yield from (of(each, kind) for each in (0, 1, DAY * factor - 1))


def durations() -> Iterator[pa.Scalar]:
    for unit, factor in PER_SECOND.items():
        ends = (0, 1, -1, -factor - 1, 90_061 * factor, 2**63 - 1, -(2**63), 2**53 + 1, -(10**18))
        yield from (of(each, pa.duration(unit)) for each in ends)


def intervals() -> Iterator[pa.Scalar]:
    ends = (
        (0, 0, 0),
        (1, -2, 3000),
        (-1, 2, -3000),
        (13, 0, 0),
        (-1, 0, 0),
        (0, 1, -1_000_000),
        (0, 0, 1),
        (0, -1, 86_400 * 10**9),
        (2**31 - 1, 2**31 - 1, 2**63 - 1),
        (-(2**31), -(2**31), -(2**63)),
        (0, 0, (2**63 - 1) // 1000 * 1000),
        (2**31 - 1, 0, 0),
        (0, 2**31 - 1, 0),
    )
    yield from (pa.scalar(pa.MonthDayNano(list(each))) for each in ends)


def others() -> Iterator[pa.Scalar]:
    yield from (pa.scalar(each) for each in (True, False, "", "é☃\U0001f600'\\", "nul \0", b"", b"\0\xff'\\"))
    yield from (pa.scalar(each, pa.uuid()) for each in (uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)))
    yield pa.scalar('{"a":[1,null]}', pa.json_())


def nested() -> Iterator[pa.Scalar]:
    flat = [
        pa.scalar(2**64 - 1, pa.uint64()),
        pa.scalar(-(2**63), pa.int64()),
        pa.scalar(math.nan),
        pa.scalar(0.1, pa.float32()),
        pa.scalar(Decimal("1.50"), pa.decimal128(5, 2)),
        pa.scalar(Decimal(f"0.{'0' * 37}1"), pa.decimal128(38, 38)),
        pa.scalar("a\"\\,{}' NULL"),
        pa.scalar(b"\0\xff"),
        of(LAST_DAY, pa.date32()),
        of(2**31 - 1, pa.date32()),
        of(1, pa.timestamp("ns")),
        of(1, pa.timestamp("ns", "UTC")),
        of(2**63 - 1, pa.timestamp("us", "UTC")),
        of(1, pa.time64("us")),
        of(-1, pa.duration("ms")),
    ]
    for each in flat:
        kind = each.type
        value = each if pa.types.is_temporal(kind) else each.as_py()
        items = (
            pa.array([None, each.as_py()], kind)
            if value is not each
            else pa.concat_arrays(
                [pa.nulls(1, kind), pa.array([each.cast(_number(kind)).as_py()], _number(kind)).cast(kind)]
            )
        )
        yield pa.ListArray.from_arrays([0, 2], items)[0]
        yield pa.StructArray.from_arrays([items.slice(1)], ["m"])[0]
        yield pa.MapArray.from_arrays([0, 1], pa.array(["k"]), items.slice(1))[0]
    inner = (pa.int64(), pa.string(), pa.list_(pa.int64()), pa.null(), pa.list_(pa.null()), pa.struct([]))
    for kind in map(pa.list_, inner):
        yield pa.scalar([], kind)
    yield pa.scalar([], pa.map_(pa.string(), pa.int64()))
    yield pa.scalar({}, pa.struct([]))
    yield pa.scalar([None], pa.list_(pa.null()))


GROUPS = (integers, floats, decimals, dates, timestamps, times, durations, intervals, others, nested)


def _number(kind: pa.DataType) -> pa.DataType:
    return pa.int32() if pa.types.is_date32(kind) or pa.types.is_time32(kind) else pa.int64()


@pytest.fixture(params=[case for case in CASES if case is not SCRIPTED], ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> EngineCase:
    return request.param


@pytest.fixture
def engine(case: EngineCase, tmp_path: Path) -> Iterator[Engine]:
    engine = case.open(tmp_path)
    yield engine
    engine.close()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_a_parameter_arrives_as_it_was_sent_or_is_refused(case: EngineCase, engine: Engine, group: Any) -> None:
    wrong, arrived_count = [], 0
    for sent in group():
        positional = case.name == "clickhouse"
        parameters = encode_parameters([sent] if positional else {"a": sent})
        sql = case.positional(1) if positional else case.named(["a"])
        try:
            arrived = read(engine, sql, parameters.SerializeToString())
        except MisfitError:
            continue
        except QueryEngineError as cause:
            if cause.failure.reason is not Reason.PARAMETER_MISMATCH and not is_about_the_result(cause.failure):
                wrong.append((sent.type, number_of(sent), cause.failure.reason, cause.failure.message[:200]))
            continue
        arrived_count += 1
        if not same(sent, arrived):
            wrong.append((sent.type, number_of(sent), arrived.type, number_of(arrived)))
    assert not wrong, "\n".join(map(str, wrong))
    assert arrived_count or (case.name, group.__name__) in NOTHING_HELD


NOTHING_HELD = {
    ("sqlite", "decimals"),
    ("sqlite", "durations"),
    ("sqlite", "intervals"),
    ("sqlite", "nested"),
    ("generic", "nested"),
    ("generic", "intervals"),
    ("spark", "times"),
    ("clickhouse", "durations"),
    ("clickhouse", "intervals"),
}
"""Groups of which an engine has no type at all."""


def is_about_the_result(failure: Failure) -> bool:
    """Whether the parameter arrived, and Arrow or the codec has no place for it on the way back."""
    words = (
        "column ",
        "a value does not fit its type: ",
        # Spark shows no days as nanoseconds, and has times only from 4.2 on, where they are switched on.
        "[INTERVAL_ARITHMETIC_OVERFLOW",
        "[UNSUPPORTED_TIME_TYPE]",
    )
    return failure.reason is Reason.STATEMENT_REJECTED and failure.message.startswith(words)


def read(engine: Engine, sql: str, encoded: bytes) -> pa.Scalar:
    statement = Statement(sql=sql, query_id="q", parameters=decode_parameters(encoded))
    with engine.open(statement) as execution:
        return table_of(execution, WideIntegers.DECIMAL256).column(0)[0]
