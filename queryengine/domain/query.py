"""The query: what was asked (QuerySpec) and what became of it (Query). Times are microseconds since 1970 UTC."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from queryengine.domain.errors import Failure
from queryengine.domain.lifecycle import FINAL, HOLDS_ROWS, QueryState, ResultState

PREVIEW_CHARACTERS: Final = 200
SQL_CHARACTERS_KEPT: Final = 4 * PREVIEW_CHARACTERS
"""Of the SQL that a preview is made from."""

RECORD_BYTES: Final = 1024
"""What a record takes beside the texts and parameters of its request: facts, keys and indexes."""

VERSION_STEP: Final = 1 << 20
"""Versions that one durable change has room for: progress between two durable changes counts in the low bits, so a
version never goes back when a restart forgets progress."""


class LimitAction(StrEnum):
    """What happens when a result reaches a limit."""

    TRUNCATE = "truncate"
    FAIL = "fail"


class Compression(StrEnum):
    """Compression of the buffers inside stored Arrow pages."""

    NONE = "none"
    LZ4 = "lz4"
    ZSTD = "zstd"


class WideIntegers(StrEnum):
    """How a result carries numbers that may have more than 38 digits; the contract's WideIntegers."""

    FAIL = "fail"
    STRING = "string"
    DECIMAL256 = "decimal256"


class Truncation(StrEnum):
    """Which limit cut a result."""

    ROW_LIMIT = "row_limit"
    BYTE_LIMIT = "byte_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySpec:
    """What was asked. Fixed at Submit."""

    sql: str
    engine: str
    engine_type: str
    routing_reason: str
    parameters: bytes | None = b""
    """An encoded ParameterList of the contract; opaque to the server, read inside the worker. None when they are not in
    memory: the store has them until the query ends."""
    catalog: str = ""
    schema: str = ""
    session_settings: Mapping[str, str] = field(default_factory=dict)
    queue_timeout_ms: int
    execution_timeout_ms: int
    row_limit: int = 0
    """0 means none."""
    byte_limit: int = 0
    """0 means none but the service's own."""
    on_limit: LimitAction = LimitAction.TRUNCATE
    ttl_ms: int
    compression: Compression = Compression.NONE
    wide_integers: WideIntegers = WideIntegers.FAIL
    priority: int = 0
    cancel_on_disconnect: bool = False
    disconnect_grace_ms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """Hash of everything that makes this request another request; labels and waiting do not."""
        if self.parameters is None:
            raise ValueError("a request without its parameters has no fingerprint")
        parts = [
            self.engine,
            self.catalog,
            self.schema,
            json.dumps(dict(sorted(self.session_settings.items()))),
            self.queue_timeout_ms,
            self.execution_timeout_ms,
            self.row_limit,
            self.byte_limit,
            self.on_limit.value,
            self.ttl_ms,
            self.compression.value,
        ]
        if self.wide_integers is not WideIntegers.FAIL:
            # Only then, so that the fingerprints of older records stay theirs.
            parts.append(self.wide_integers.value)
        # The hash of a JSON list of the SQL, the parameters in hexadecimal and these parts, which it always was. In
        # pieces, because the parameters may be large and need no escapes.
        digest = hashlib.sha256(f'[{json.dumps(self.sql)}, "'.encode())
        digest.update(self.parameters.hex().encode())
        digest.update(f'", {json.dumps(parts)[1:]}'.encode())
        return digest.hexdigest()

    def record_bytes(self) -> int:
        """About what the record of this request takes in the store while the query runs."""
        texts = [self.sql, self.catalog, self.schema]
        for pairs in (self.labels, self.session_settings):
            texts += [*pairs, *pairs.values()]
        return RECORD_BYTES + len(self.parameters or b"") + sum(len(text.encode("utf-8", "replace")) for text in texts)

    def without_parameters(self) -> "QuerySpec":
        """The same request without its parameters in memory."""
        return replace(self, parameters=None) if self.parameters else self

    def for_reference(self) -> "QuerySpec":
        """What of a request is asked for once its query has ended: no parameters, and of the SQL the beginning."""
        if self.parameters or len(self.sql) > SQL_CHARACTERS_KEPT:
            return replace(self, parameters=None, sql=self.sql[:SQL_CHARACTERS_KEPT])
        return self

    def query_hash(self) -> str:
        """Hash of the SQL with white space folded; equal for queries that differ in white space or parameters only."""
        return hashlib.sha256(" ".join(self.sql.split()).encode()).hexdigest()[:32]

    def sql_preview(self) -> str:
        """The first characters of the SQL on one line, for people."""
        folded = " ".join(self.sql[:SQL_CHARACTERS_KEPT].split())
        return folded if len(folded) <= PREVIEW_CHARACTERS else folded[: PREVIEW_CHARACTERS - 1] + "…"


@dataclass(frozen=True, kw_only=True)
class Query:
    """The durable record of one submitted statement. A value: a change makes a new one, by `but`."""

    tenant: str
    query_id: str
    subject: str
    spec: QuerySpec
    fingerprint: str
    query_hash: str
    state: QueryState = QueryState.QUEUED
    result_state: ResultState = ResultState.NONE
    version: int = VERSION_STEP
    attempt: int = 0
    owner: str = ""
    """Instance of the server that runs the current attempt; empty before the first."""
    rows: int = 0
    pages: int = 0
    bytes: int = 0
    rows_scanned: int | None = None
    bytes_scanned: int | None = None
    engine_query_id: str = ""
    """The engine's name for the last attempt, and where people see it; empty when the engine has none."""
    engine_query_url: str = ""
    truncation: Truncation | None = None
    failure: Failure | None = None
    submit_us: int
    start_us: int | None = None
    first_page_us: int | None = None
    end_us: int | None = None
    expire_us: int | None = None
    cancel_us: int | None = None
    cancel_reason: str = ""
    record_bytes: int = 0
    """What the record counts for in its tenant's share of the store."""

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    def result_state_at(self, now_us: int) -> ResultState:
        """What can be read of the result at a moment: rows are expired from expire_us on, removed or not."""
        if self.expire_us is not None and self.expire_us <= now_us and self.result_state in HOLDS_ROWS:
            return ResultState.EXPIRED
        return self.result_state

    def but(self, **facts: Any) -> "Query":
        """The same query with some facts changed. Raises TypeError for what is no field.

        As dataclasses.replace, without its look at every field, which a short query would notice.
        """
        if unknown := facts.keys() - self.__dataclass_fields__.keys():
            raise TypeError(f"a query has no {', '.join(sorted(unknown))}")
        changed = object.__new__(Query)
        changed.__dict__.update(self.__dict__, **facts)
        return changed
