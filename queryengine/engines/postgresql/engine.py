"""PostgreSQL, behind an URL of SQLAlchemy. Rows come by ADBC, as Arrow; SQLAlchemy's own rows cost ten times as much.

Every execution has a connection and a read-only transaction to itself. It is stopped from beside, through a control
connection, which also proves that it has stopped.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import adbc_driver_manager as adbc
import adbc_driver_postgresql
import psycopg
import sqlalchemy as sa

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.base import Engine, EngineTraits, PolicyProblem, Statement
from queryengine.engines.kit.analysing import of_tokens
from queryengine.engines.kit.calls import computing, unproven
from queryengine.engines.kit.checking import allowed_functions
from queryengine.engines.kit.executions import OpenExecutions
from queryengine.engines.kit.lexicons import POSTGRESQL
from queryengine.engines.kit.postgresql.guard import Guard, reaching
from queryengine.engines.kit.postgresql.roles import refuse_reaching_out, refuse_unusable, role_of
from queryengine.engines.kit.row_security.comparing import compared
from queryengine.engines.kit.row_security.problems import problems
from queryengine.engines.postgresql import row_security
from queryengine.engines.postgresql.check import check
from queryengine.engines.postgresql.control import Control, SilentError, Watch
from queryengine.engines.postgresql.enforcement import NOT_CALLED
from queryengine.engines.postgresql.errors import words
from queryengine.engines.postgresql.execution import PostgreSQLExecution
from queryengine.engines.postgresql.explaining import Explanation
from queryengine.engines.postgresql.live_tables import live_tables
from queryengine.engines.postgresql.options import PostgreSQLOptions
from queryengine.engines.postgresql.session import Session
from queryengine.engines.postgresql.settings import (
    CLIENT_CHECK,
    CLIENT_CHECK_INTERVAL,
    SESSION_SETTINGS,
)


class PostgreSQLEngine(Engine):
    type_name = "sqlalchemy"

    @classmethod
    def traits(cls, options: Mapping[str, Any]) -> EngineTraits:
        parsed = cls._options(options)
        return EngineTraits(
            named_parameters=True,
            positional_parameters=True,
            streams=True,
            back_pressure=True,
            cancel_confirmed=True,
            sandbox=not parsed.allow_privileged_role,
            schema=True,
            session_settings=SESSION_SETTINGS,
        )

    @classmethod
    def check(cls, sql: str, options: Mapping[str, Any]) -> None:  # noqa: ARG003 - no option changes it
        check(sql)

    @classmethod
    def analyse(cls, sql: str, options: Mapping[str, Any]) -> Analysis:
        query, template = check(sql)
        called = unproven(query.tokens, POSTGRESQL, computing("queryengine.engines.kit.postgresql"))
        reached = reaching(query) - allowed_functions(options)
        return of_tokens(query, POSTGRESQL, template.names, unproven=called, reaching=reached)

    @classmethod
    def secured(cls, sql: str, policy: RowPolicy, options: Mapping[str, Any]) -> SecuredText:  # noqa: ARG003
        return row_security.secured(sql, policy)

    @classmethod
    def policy_problems(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[PolicyProblem]:  # noqa: ARG003
        return problems(policy, row_security.GRAMMAR)

    @classmethod
    def compared_columns(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[tuple[int, str]]:  # noqa: ARG003
        return compared(policy, row_security.GRAMMAR)

    @classmethod
    def enforcement_problem(cls, options: Mapping[str, Any]) -> str:
        allowed = cls._options(options).allow_functions & NOT_CALLED
        return f"{min(allowed)} is allowed by option 'allow_functions', and could set who asks" if allowed else ""

    @staticmethod
    def _options(options: Mapping[str, Any]) -> PostgreSQLOptions:
        return PostgreSQLOptions.parse(sa.make_url(options["url"]), options)

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self._name = name
        self._parsed = parsed = self._options(options)
        self.control = Control(parsed)
        try:
            # First, as it waits for no answer without a limit.
            self._version = self._ask_version()
            [[found]] = self.control.ask(f"SELECT pg_catalog.current_setting('{CLIENT_CHECK}', true)")
            self.client_check = {CLIENT_CHECK: CLIENT_CHECK_INTERVAL} if found is not None else {}
            self._refuse_roles()
            self.guard = Guard.ask(self.control.ask, parsed.allow_functions)
            self._database = adbc_driver_postgresql.connect(parsed.conninfo)
        except (adbc.Error, psycopg.Error, SilentError) as cause:
            self.control.close()
            raise self._unreachable(cause) from cause
        except QueryEngineError:
            self.control.close()
            raise
        self._watch = Watch(self.control, self._lost)
        self.executions: OpenExecutions[PostgreSQLExecution] = OpenExecutions(lambda: self._watch.need(False))

    def version(self) -> str:
        return f"PostgreSQL {self._version}"

    def probe(self) -> None:
        try:
            self._ask_version()
        except (psycopg.Error, SilentError) as cause:
            raise self._unreachable(cause) from cause

    def open(self, statement: Statement) -> PostgreSQLExecution:
        return self.executions.add(PostgreSQLExecution(self, statement))

    def explain(self, statement: Statement) -> str:
        with Explanation(self, statement) as execution:
            execution.start()
            return execution.explained

    def live_tables(self, tables: Sequence[AskedTable]) -> Sequence[LiveTable | None]:
        try:
            # With a role for each tenant, whether row security holds for one is known in its transaction.
            return live_tables(tables, self.control.ask, is_one_role=not self._parsed.roles)
        except (psycopg.Error, SilentError) as cause:
            raise self._unreachable(cause) from cause

    def connect(self) -> Session:
        """A connection of one's own. While an execution is open, the server is watched."""
        self._watch.need(True)
        return Session(self._database)

    def role_of(self, tenant: str) -> str:
        """The role in which a tenant's statements run; empty for that of the connection."""
        return role_of(tenant, self._parsed.roles)

    def close(self) -> None:
        self.executions.close()
        self._watch.close()
        self.control.close()
        self._database.close()

    def _ask_version(self) -> str:
        [[version]] = self.control.ask("SELECT pg_catalog.current_setting('server_version')")
        return (version or b"").decode()

    def _lost(self, cause: Exception) -> None:
        for execution in self.executions:
            execution.lose(cause)

    def _refuse_roles(self) -> None:
        try:
            if not self._parsed.allow_privileged_role:
                refuse_reaching_out(self.control.ask, self._parsed.roles)
            refuse_unusable(self.control.ask, self._parsed.roles)
        except ValueError as cause:
            message = f"engine {self._name!r}: {cause}"
            raise error(Reason.ENGINE_UNAVAILABLE, message, engine=self._name) from cause

    def _unreachable(self, cause: BaseException) -> QueryEngineError:
        message = f"engine {self._name!r} cannot reach {self._parsed.shown}: {words(cause)}"
        return error(Reason.ENGINE_UNAVAILABLE, message, engine=self._name)
