"""The columns of results that are kept: as many as may be, those that were used last."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from queryengine.codec.types import encoded_attempt, encoded_result_schema
from queryengine.reading import schemas
from queryengine.reading.schemas import KEPT, KEPT_BYTES_MAX, Schemas


def schema(name: str) -> bytes:
    return pa.schema([pa.field(name, pa.int64())]).serialize().to_pybytes()


async def test_columns_are_described_once_while_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[bytes] = []

    def counting(encoded: bytes) -> bytes:
        described.append(encoded)
        return encoded_result_schema(encoded)

    monkeypatch.setattr(schemas, "encoded_result_schema", counting)
    with ThreadPoolExecutor(1) as threads:
        found = Schemas(threads)
        kept, wide = schema("kept"), schema("w" * KEPT_BYTES_MAX)
        for number in range(3 * KEPT):
            await found.describe(kept, 1)
            await found.describe(schema(f"n{number}"), 1)
        assert described.count(kept) == 1
        await found.describe(schema("n0"), 1)
        assert described.count(schema("n0")) == 2
        for attempt in (1, 2):
            expected = encoded_result_schema(wide) + encoded_attempt(attempt)
            assert await found.describe(wide, attempt) == expected
        assert described.count(wide) == 2
        assert len(found._kept) == KEPT
