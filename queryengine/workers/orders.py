"""What the server asks a worker to run, as values that cross the process boundary."""

import uuid
from base64 import b64decode
from dataclasses import dataclass
from typing import Any

from queryengine.codec.values import BoundParameter, MisfitError, decode_parameters
from queryengine.domain.analysis import Name
from queryengine.domain.errors import Reason, error
from queryengine.domain.submission import Compression, LimitAction, WideIntegers
from queryengine.engines.base import Statement
from queryengine.results.writer import ResultLimits
from queryengine.workers.protocol import Frame, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """One execution: the statement, where its result goes, and the bounds on it."""

    execution: str
    """Name of this run on its worker; unique in the life of the server."""
    query_id: str
    tenant: str
    subject: str
    sql: str
    parameters: bytes
    catalog: str
    schema: str
    session_settings: dict[str, str]
    execution_timeout_seconds: float
    result: str
    """The key of the result in the spool."""
    limits: ResultLimits
    first_page_flush_seconds: float
    wide_integers: WideIntegers
    allowed_functions: list[str]
    enforced: tuple[Name, ...] | None = None
    """As in Statement."""

    def encode(self) -> bytes:
        # Not asdict: its deep copies cost more than all the rest of a short query's way to the worker.
        header = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "parameters"}
        header["limits"] = {name: getattr(self.limits, name) for name in self.limits.__dataclass_fields__}
        return encode({"type": "run", **header}, self.parameters)

    @classmethod
    def decode(cls, frame: Frame) -> "RunOrder":
        fields: dict[str, Any] = {key: value for key, value in frame.header.items() if key != "type"}
        limits = dict(fields["limits"])
        limits["compression"] = Compression(limits["compression"])
        limits["on_limit"] = LimitAction(limits["on_limit"])
        fields["limits"] = ResultLimits(**limits)
        fields["wide_integers"] = WideIntegers(fields["wide_integers"])
        if fields["enforced"] is not None:
            fields["enforced"] = tuple(map(tuple, fields["enforced"]))
        return cls(parameters=frame.blob, **fields)

    def statement(self) -> Statement:
        """The statement with its parameters decoded. Raises as `_decoded` does."""
        parameters = _decoded(self.parameters)
        return Statement(
            sql=self.sql,
            query_id=self.query_id,
            tenant=self.tenant,
            subject=self.subject,
            parameters=parameters,
            catalog=self.catalog,
            schema=self.schema,
            session_settings=self.session_settings,
            execution_timeout_seconds=self.execution_timeout_seconds,
            allowed_functions=frozenset(self.allowed_functions),
            enforced=self.enforced,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOrder:
    """A statement of which the engine is to say how it would run it."""

    sql: str
    parameters: str
    """In base64."""
    tenant: str
    subject: str
    catalog: str
    schema: str
    session_settings: dict[str, str]
    timeout_seconds: float
    allowed_functions: list[str]

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def statement(self) -> Statement:
        """As RunOrder.statement."""
        return Statement(
            sql=self.sql,
            query_id=str(uuid.uuid4()),
            tenant=self.tenant,
            subject=self.subject,
            parameters=_decoded(b64decode(self.parameters)),
            catalog=self.catalog,
            schema=self.schema,
            session_settings=self.session_settings,
            execution_timeout_seconds=self.timeout_seconds,
            allowed_functions=frozenset(self.allowed_functions),
        )


def _decoded(parameters: bytes) -> tuple[BoundParameter, ...]:
    """Raises INVALID_FIELD when a parameter's bytes make no value, and PARAMETER_MISMATCH when its type cannot hold the
    value.
    """
    try:
        return decode_parameters(parameters)
    except MisfitError as cause:
        raise error(Reason.PARAMETER_MISMATCH, str(cause), parameter=cause.parameter) from cause
    except ValueError as cause:
        raise error(Reason.INVALID_FIELD, str(cause), field="parameters") from cause
