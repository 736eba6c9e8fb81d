"""Integers of 128 bits keep every value, and cost a process no imports."""

import subprocess
import sys

import pyarrow as pa
import pytest

from queryengine.engines.wide_integers import wide_integers

SIGNED = [0, 1, -1, 2**64, -(2**64) - 5, 2**127 - 1, -(2**127), None]
UNSIGNED = [0, 2**63, 2**64 - 1, 2**128 - 1, None]

# What a worker of DuckDB does before its first rows.
FIRST_ROWS = """
import sys
from queryengine.engines.base import Statement
from queryengine.engines.duckdb.engine import DuckDBEngine
engine = DuckDBEngine("main", {})
with engine.open(Statement(sql="SELECT 1, 2::HUGEINT, NULL::UHUGEINT", query_id="q")) as execution:
    execution.start()
    assert sum(batch.num_rows for batch in execution.batches()) == 1
engine.close()
print("pandas" in sys.modules)
"""


@pytest.mark.parametrize(("values", "signed"), [(SIGNED, True), (UNSIGNED, False)])
@pytest.mark.parametrize("offset", [0, 1])
def test_every_value_is_kept(values: list[int | None], signed: bool, offset: int) -> None:
    limbs = b"".join((value or 0).to_bytes(16, "little", signed=signed) for value in values)
    valid = pa.array([value is not None for value in values])
    storage = pa.Array.from_buffers(pa.binary(16), len(values), [valid.buffers()[1], pa.py_buffer(limbs)])
    high = pa.int64() if signed else pa.uint64()
    assert [each.as_py() for each in wide_integers(storage[offset:], high)] == values[offset:]


def test_a_worker_does_not_import_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_ROWS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
