"""Trino, by its REST protocol: every execution is a query of its own on the cluster.

The rows of one page are here at a time. The next one is asked for when a consumer wants it; until then the query is
kept alive, and Trino's buffers, which are bounded, hold it back.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.base import Engine, EngineTraits, PolicyProblem, Progress, Statement
from queryengine.engines.kit.analysing import of_tokens
from queryengine.engines.kit.calls import computing, unproven
from queryengine.engines.kit.checking import allowed_functions
from queryengine.engines.kit.executions import OpenExecutions
from queryengine.engines.kit.guarded import GuardedExecution, check_columns
from queryengine.engines.kit.interrupting import cancelled
from queryengine.engines.kit.lexicons import TRINO
from queryengine.engines.kit.placeholders import names
from queryengine.engines.kit.reaching import Reaching
from queryengine.engines.kit.row_security.comparing import compared
from queryengine.engines.kit.session_settings import check_settings
from queryengine.engines.trino import row_security
from queryengine.engines.trino.enforcement import user_of
from queryengine.engines.trino.errors import failed, unanswered
from queryengine.engines.trino.guard import check_home
from queryengine.engines.trino.heart import Heart
from queryengine.engines.trino.http import Patience, Refused, TrinoHttp, Unreachable
from queryengine.engines.trino.live_tables import live_tables
from queryengine.engines.trino.options import DEADLINE, TrinoOptions, is_header_text
from queryengine.engines.trino.pages import Columns, batches_of
from queryengine.engines.trino.parameters import literals
from queryengine.engines.trino.query import ENCODINGS, Page, QueryFailed, TrinoQuery
from queryengine.engines.trino.text import check, text_to_send

PROBE_SECONDS: Final = 3.0


class TrinoEngine(Engine):
    type_name = "trino"

    @classmethod
    def traits(cls, options: Mapping[str, Any]) -> EngineTraits:
        parsed = TrinoOptions.parse(options)
        return EngineTraits(
            named_parameters=True,
            positional_parameters=True,
            streams=True,
            # Segments are written to their store whether anybody reads them or not.
            back_pressure=not parsed.spooling,
            cancel_confirmed=True,
            progress=True,
            scan_statistics=True,
            catalog=True,
            schema=True,
            session_settings=parsed.session_settings,
        )

    @classmethod
    def check(cls, sql: str, options: Mapping[str, Any]) -> None:
        check(sql, allowed_functions(options))

    @classmethod
    def analyse(cls, sql: str, options: Mapping[str, Any]) -> Analysis:
        query, placeholders = check(sql, allowed_functions(options))
        called = unproven(query.tokens, TRINO, computing(__package__))
        reaching = Reaching.listed(__package__).among(called)
        return of_tokens(query, TRINO, names(placeholders), unproven=called, reaching=reaching)

    @classmethod
    def secured(cls, sql: str, policy: RowPolicy, options: Mapping[str, Any]) -> SecuredText:  # noqa: ARG003
        return row_security.secured(sql, policy)

    @classmethod
    def policy_problems(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[PolicyProblem]:  # noqa: ARG003
        return row_security.policy_problems(policy)

    @classmethod
    def compared_columns(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[tuple[int, str]]:  # noqa: ARG003
        return compared(policy, row_security.GRAMMAR)

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        self.options = TrinoOptions.parse(options)
        self.http = TrinoHttp(self.options)
        self.heart = Heart(self.options.heartbeat_seconds)
        self._closed = threading.Event()
        self.executions: OpenExecutions[TrinoExecution] = OpenExecutions()
        try:
            self._version = self._ask_version()
            self._present_credentials()
        except BaseException:
            self.http.close()
            raise

    def version(self) -> str:
        return f"Trino {self._version}"

    def open(self, statement: Statement) -> "TrinoExecution":
        return self.executions.add(TrinoExecution(self, statement))

    def probe(self) -> None:
        self._ask_version()

    @classmethod
    def enforcement_problem(cls, options: Mapping[str, Any]) -> str:
        is_impersonating = bool(TrinoOptions.parse(options).impersonate)
        return "" if is_impersonating else "it needs option 'impersonate', by which Trino is given who asks"

    def live_tables(self, tables: Sequence[AskedTable]) -> Sequence[LiveTable | None]:
        if self.options.impersonate:
            # What is there for the service says nothing of what is there for its callers.
            return super().live_tables(tables)
        try:
            return live_tables(tables, self._ask, self.options.catalog)
        except QueryFailed as cause:
            raise failed(cause, skipped=0) from cause
        except (Unreachable, Refused) as cause:
            raise unanswered(cause, self.name) from cause

    def close(self) -> None:
        self.executions.close()
        self._closed.set()
        self.http.close()

    def headers(self, statement: Statement) -> dict[str, str]:
        """What says who asks, and how the query is to be run. Raises UNSUPPORTED for what cannot be said."""
        options = self.options
        user = user_of(statement, options)
        labels = {"tenant": statement.tenant, "subject": statement.subject, "query": statement.query_id}
        headers = {
            "User-Agent": "queryengine",
            "X-Trino-User": user,
            "X-Trino-Source": options.source,
            "X-Trino-Catalog": statement.catalog or options.catalog,
            "X-Trino-Schema": statement.schema or options.schema,
            "X-Trino-Client-Tags": ",".join(f"{key}={quote(each)}" for key, each in labels.items() if each),
            "X-Trino-Session": self._session(statement),
            # Times with all their digits.
            "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME",
            "X-Trino-Query-Data-Encoding": ENCODINGS if options.spooling else "",
        }
        for header, feature in (("Catalog", "catalog"), ("Schema", "schema"), ("User", "subject")):
            if not is_header_text(headers[f"X-Trino-{header}"]):
                message = f"Trino takes a {feature} of printable ASCII characters only"
                raise error(Reason.UNSUPPORTED, message, feature=feature)
        return {key: value for key, value in headers.items() if value}

    def _ask(self, sql: str) -> list[list[Any]]:
        """The rows of a small question, as the service itself."""
        headers = {
            "User-Agent": "queryengine",
            "X-Trino-User": self.options.user,
            "X-Trino-Source": self.options.source,
        }
        query = TrinoQuery(self.http, headers)
        try:
            page = query.submit(sql)
            rows = list(page.data or ())
            while query.has_next:
                rows += query.advance().data or ()
            return rows
        finally:
            query.end()

    def _session(self, statement: Statement) -> str:
        check_settings(statement, self.options.session_settings)
        deadline = f"{max(1, round(statement.execution_timeout_seconds * 1000))}ms"
        return ",".join(
            f"{name}={quote(value)}" for name, value in {**statement.session_settings, DEADLINE: deadline}.items()
        )

    def _ask_version(self) -> str:
        try:
            about = self.http.ask("GET", f"{self.http.root}/v1/info", self._soon())
        except (Unreachable, Refused) as cause:
            raise self._unusable(f"cannot reach Trino at {self.options.url}: {cause}") from cause
        if about.get("starting", True):
            raise self._unusable(f"cannot use Trino at {self.options.url}: it is still starting")
        return str(about.get("nodeVersion", {}).get("version", "unknown"))

    def _present_credentials(self) -> None:
        """Ask for a query that no cluster has: the answer to valid credentials is that it is gone."""
        url = f"{self.http.root}/v1/query/19700101_000000_00000_aaaaa"
        try:
            self.http.fetch("GET", url, self._soon(), headers={"X-Trino-User": self.options.user})
        except Unreachable as cause:
            raise self._unusable(f"cannot reach Trino at {self.options.url}: {cause}") from cause
        except Refused as cause:
            if cause.status in {401, 403}:
                message = f"is refused by Trino at {self.options.url}, credentials of {self.options.user!r}: {cause}"
                raise self._unusable(message) from cause

    def _soon(self) -> Patience:
        return Patience(PROBE_SECONDS, PROBE_SECONDS, 0.0, self._closed)

    def _unusable(self, what: str) -> QueryEngineError:
        return error(Reason.ENGINE_UNAVAILABLE, f"engine {self.name!r} {what}", engine=self.name)


class TrinoExecution(GuardedExecution):
    def __init__(self, engine: TrinoEngine, statement: Statement) -> None:
        super().__init__(engine.executions)
        self._engine = engine
        self._statement = statement
        self._query: TrinoQuery | None = None
        self._columns = Columns(())
        self._page = Page(None, None)
        self._skipped = 0

    def _begin(self) -> pa.Schema:
        statement = self._statement
        check_home(statement.catalog, statement.schema)
        query, placeholders = check(statement.sql, statement.allowed_functions)
        values = literals(statement.parameters, names(placeholders))
        text = text_to_send(query, placeholders, values)
        self._skipped = text.skipped
        self._query = running = TrinoQuery(self._engine.http, self._engine.headers(statement))
        self._hold(self._end_query, running)
        self._page = running.submit(text.sql)
        self._engine.heart.watch(running)
        self._hold(self._engine.heart.forget, running)
        while self._page.columns is None and running.has_next:
            self._advance(running)
        check_columns(self._page.columns or ())
        self._columns = Columns(self._page.columns or ())
        return self._columns.schema

    def _batches(self) -> Iterator[pa.RecordBatch]:
        query = self._query
        assert query is not None
        yield from batches_of(self._page, self._columns, query)
        while query.has_next:
            self._advance(query)
            yield from batches_of(self._page, self._columns, query)

    def _advance(self, query: TrinoQuery) -> None:
        """The next page, which may hold no rows: a cancel between two of them is heard here."""
        if self._calls.stopped:
            raise cancelled()
        self._page = query.advance()

    def _snapshot(self) -> Progress:
        query = self._query
        return query.progress if query is not None else Progress()

    def _end_query(self, query: TrinoQuery) -> None:
        """Returns also when Trino has been out of reach for some seconds: then the query ends by its deadline, or when
        Trino finds that nobody asks for its rows.
        """
        self._page = Page(None, None)
        query.end()
        self._is_confirmed = query.end_confirmed

    def _interrupt(self) -> None:
        query = self._query
        if query is not None:
            query.interrupt()

    def _failure(self, cause: Exception) -> QueryEngineError:
        match cause:
            case QueryFailed():
                return failed(cause, skipped=self._skipped)
            case Unreachable() | Refused():
                return unanswered(cause, self._engine.name)
            case _:
                message = f"Trino's answer makes no sense: {type(cause).__name__}: {cause}"
                return error(Reason.ENGINE_ERROR, message)
