"""Databases behind an URL of SQLAlchemy: the URL says which, and with it how their rows are read.

PostgreSQL brings them as Arrow; of all others SQLAlchemy brings the rows.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import Reason, error
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.base import Engine, EngineTraits, Execution, PolicyProblem, Statement
from queryengine.engines.kit.drivers import install_command
from queryengine.engines.sqlalchemy.rows import RowsEngine

_POSTGRESQL: Final = frozenset({"postgresql", "postgresql+psycopg"})


class SQLAlchemyEngine(Engine):
    """Options: `url`, an URL of SQLAlchemy; `connect_args`, a mapping for the driver's connect; those of PostgreSQL."""

    type_name = "sqlalchemy"

    @classmethod
    def traits(cls, options: Mapping[str, Any]) -> EngineTraits:
        return _adapter_of(options).traits(options)

    @classmethod
    def check(cls, sql: str, options: Mapping[str, Any]) -> None:
        _adapter_of(options).check(sql, options)

    @classmethod
    def analyse(cls, sql: str, options: Mapping[str, Any]) -> Analysis:
        return _adapter_of(options).analyse(sql, options)

    @classmethod
    def secured(cls, sql: str, policy: RowPolicy, options: Mapping[str, Any]) -> SecuredText:
        return _adapter_of(options).secured(sql, policy, options)

    @classmethod
    def policy_problems(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[PolicyProblem]:
        return _adapter_of(options).policy_problems(policy, options)

    @classmethod
    def compared_columns(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[tuple[int, str]]:
        return _adapter_of(options).compared_columns(policy, options)

    @classmethod
    def enforcement_problem(cls, options: Mapping[str, Any]) -> str:
        return _adapter_of(options).enforcement_problem(options)

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self._adapter = _adapter_of(options)(name, options)

    def version(self) -> str:
        return self._adapter.version()

    def open(self, statement: Statement) -> Execution:
        return self._adapter.open(statement)

    def probe(self) -> None:
        self._adapter.probe()

    def explain(self, statement: Statement) -> str:
        return self._adapter.explain(statement)

    def live_tables(self, tables: Sequence[AskedTable]) -> Sequence[LiveTable | None]:
        return self._adapter.live_tables(tables)

    def prepare(self) -> None:
        self._adapter.prepare()

    def close(self) -> None:
        self._adapter.close()


def _adapter_of(options: Mapping[str, Any]) -> type[Engine]:
    """Raises ValueError that names the key of a wrong option, and ENGINE_UNAVAILABLE when a driver is not installed."""
    if not isinstance(options.get("connect_args", {}), Mapping):
        raise ValueError("option 'connect_args' must be a mapping")  # noqa: TRY004 - as every wrong option
    if not options.get("url"):
        raise ValueError("option 'url' is missing: an URL of SQLAlchemy, as in sqlite:////data/x.db")
    try:
        url = sa.make_url(options["url"])
    except (sa.exc.ArgumentError, ValueError):
        raise ValueError("option 'url' must be an URL of SQLAlchemy, as in sqlite:////data/x.db") from None
    if url.drivername not in _POSTGRESQL:
        return RowsEngine
    try:
        from queryengine.engines.postgresql.engine import PostgreSQLEngine
    except ImportError as cause:
        message = f"PostgreSQL needs a driver that is not installed ({cause}): {install_command('postgres')}"
        raise error(Reason.ENGINE_UNAVAILABLE, message) from cause
    return PostgreSQLEngine
