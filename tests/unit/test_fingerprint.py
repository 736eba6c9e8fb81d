"""The fingerprint of a request: what it was in every version, whatever the request holds."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from queryengine.domain.query import QuerySpec
from tests import store_values


def by_definition(spec: QuerySpec) -> str:
    """As records of earlier versions have it, of requests without options that came later."""
    parts = [
        spec.sql,
        (spec.parameters or b"").hex(),
        spec.engine,
        spec.catalog,
        spec.schema,
        json.dumps(dict(sorted(spec.session_settings.items()))),
        spec.queue_timeout_ms,
        spec.execution_timeout_ms,
        spec.row_limit,
        spec.byte_limit,
        spec.on_limit.value,
        spec.ttl_ms,
        spec.compression.value,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@given(st.text(), st.binary(), st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
def test_a_fingerprint_stays_what_it_was(sql: str, parameters: bytes, schema: str, settings: dict[str, str]) -> None:
    spec = store_values.spec(sql=sql, parameters=parameters, schema=schema, session_settings=settings)
    assert spec.fingerprint() == by_definition(spec)
