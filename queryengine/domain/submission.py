"""What a caller asked. Fixed when it is made; routing, defaults and policies are in the plan."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Final

PREVIEW_CHARACTERS: Final = 200
SQL_CHARACTERS_KEPT: Final = 4 * PREVIEW_CHARACTERS
"""Of the SQL that a preview is made from."""

RECORD_BYTES: Final = 1024
"""What a record takes beside the texts and parameters of its submission: facts, keys and indexes."""

_json: Final = json.JSONEncoder(sort_keys=True, default=dict).encode

FINGERPRINT_FORM: Final = "2:"
"""What fingerprints begin with. Those of earlier versions have no prefix; `legacy_fingerprint` makes them."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One statement to run, as its caller asked for it. None means that the caller left it to the service."""

    tenant: str
    subject: str = ""
    api_key: str = ""
    """Label of the API key that it came with; empty without one."""
    sql: str
    """Empty for a named query, until its version is resolved."""
    named_query: str = ""
    """The reference to a named query, such as `report@prod`, in place of SQL text."""
    engine_hint: str = ""
    """The engine that the caller named; empty when the service is to choose."""
    parameters: bytes | None = b""
    """An encoded ParameterList of the contract; opaque to the server, read inside the worker. None when they are not in
    memory: the store has them until the query ends."""
    parameter_types: bytes = b""
    """Their names and types, as an encoded QueryDetails of the contract; kept by the store also once the query has
    ended."""
    catalog: str = ""
    schema: str = ""
    session_settings: Mapping[str, str] = field(default_factory=dict)
    queue_timeout_ms: int | None = None
    execution_timeout_ms: int | None = None
    row_limit: int = 0
    """0 means none."""
    byte_limit: int = 0
    """0 means none but the service's own."""
    scan_row_limit: int = 0
    scan_byte_limit: int = 0
    """What the engine may read for it; 0 means no bound."""
    interactive: bool = False
    """Somebody waits for it."""
    on_limit: LimitAction = LimitAction.TRUNCATE
    ttl_ms: int | None = None
    compression: Compression = Compression.NONE
    wide_integers: WideIntegers = WideIntegers.FAIL
    priority: int = 0
    cancel_on_disconnect: bool = False
    disconnect_grace_ms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    dialect: str = ""
    """In which the SQL is written; empty when the caller does not say."""
    strict_routing: bool = False
    """No other engine will do than the first that routing prefers."""

    def fingerprint(self) -> str:
        """Hash of everything that makes this another submission, which labels, priority, the caller's subject and what
        happens when the caller leaves do not. It depends on no setting of the server.
        """
        if self.parameters is None:
            raise ValueError("a submission without its parameters has no fingerprint")
        asked = {name: value for name, default in _FINGERPRINTED if (value := getattr(self, name)) != default}
        # JSON text has no NUL, so nothing in it can be taken for parameters.
        digest = hashlib.sha256(_json(asked).encode() + b"\0")
        digest.update(self.parameters)
        return FINGERPRINT_FORM + digest.hexdigest()

    def record_bytes(self) -> int:
        """About what the record of this submission takes in the store while the query runs."""
        texts = [self.sql, self.catalog, self.schema]
        for pairs in (self.labels, self.session_settings):
            texts += [*pairs, *pairs.values()]
        parameters = len(self.parameters or b"") + len(self.parameter_types)
        return RECORD_BYTES + parameters + sum(len(text.encode("utf-8", "replace")) for text in texts)

    def without_parameters(self) -> "Submission":
        """The same submission without its parameters in memory."""
        return replace(self, parameters=None) if self.parameters else self

    def for_reference(self) -> "Submission":
        """What of it is kept in memory once its query has ended: no parameters, and of the SQL the beginning."""
        if self.parameters or self.parameter_types or len(self.sql) > SQL_CHARACTERS_KEPT:
            return replace(self, parameters=None, parameter_types=b"", sql=self.sql[:SQL_CHARACTERS_KEPT])
        return self

    def query_hash(self) -> str:
        """Hash of the SQL with white space folded; equal for queries that differ in white space or parameters only."""
        return hashlib.sha256(" ".join(self.sql.split()).encode()).hexdigest()[:32]

    def sql_preview(self) -> str:
        """The first characters of the SQL on one line, for people."""
        folded = " ".join(self.sql[:SQL_CHARACTERS_KEPT].split())
        return folded if len(folded) <= PREVIEW_CHARACTERS else folded[: PREVIEW_CHARACTERS - 1] + "…"


_NOT_FINGERPRINTED: Final = frozenset(
    {
        "tenant",
        "subject",
        "api_key",
        "parameters",
        "parameter_types",
        "labels",
        "priority",
        "cancel_on_disconnect",
        "disconnect_grace_ms",
    }
)
"""The tenant is part of a query's key, and the parameters are hashed as they are."""
_FINGERPRINTED: Final = tuple(
    (each.name, {} if each.name == "session_settings" else each.default)
    for each in fields(Submission)
    if each.name not in _NOT_FINGERPRINTED
)
"""Names and defaults. What has its default is left out, so that a field added later changes no earlier fingerprint."""
