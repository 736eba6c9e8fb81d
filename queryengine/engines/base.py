"""The contract of an engine adapter. Synchronous; lives inside a worker process.

An Engine is a configured external system; an Execution is one live run of one statement on it. `open` and `start` are
two calls because some engines block before a schema exists, and cancel needs a target meanwhile. Every promise written
here is a test in tests/contract/test_engine_contract.py, which runs over every adapter.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar, Final, NamedTuple, Self

import pyarrow as pa

from queryengine.codec.values import BoundParameter
from queryengine.domain.analysis import NOT_ANALYSED, Analysis, Name
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.refreshed import Refreshed
from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.domain.texts import NAME_BYTES_MAX, URL_BYTES_MAX, shortened, whole_or_none

logger = logging.getLogger(__name__)


class OptionError(ValueError):
    """A wrong value within the options of an engine. The message names it by `keys`, which lead to it."""

    def __init__(self, keys: tuple[str, ...], problem: str) -> None:
        super().__init__(f"option {' > '.join(keys)!r}: {problem}")
        self.keys = keys


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTraits:
    """What an engine can do. What it cannot do it refuses with UNSUPPORTED; nothing is ignored in silence."""

    named_parameters: bool = False
    positional_parameters: bool = False
    streams: bool = False
    """Rows come while the engine still works, and the whole result is never in memory at once."""
    back_pressure: bool = False
    """A consumer that stalls makes the engine wait."""
    cancel_confirmed: bool = False
    """`cancel` returns after the engine itself has said that nothing of the execution runs."""
    sandbox: bool = False
    """The engine itself refuses whatever writes, or reaches files and networks of its own; the check of the text is not
    the only guard."""
    writes: bool = False
    """Statements that write may run."""
    progress: bool = False
    """Progress.fraction is reported while a statement runs."""
    scan_statistics: bool = False
    """Progress.rows_scanned or bytes_scanned is reported, at the latest when the last batch has been read."""
    catalog: bool = False
    schema: bool = False
    session_settings: tuple[str, ...] = ()
    """Names a statement may set."""
    embedded: bool = False
    """The engine computes inside the worker process, so a worker runs one execution at a time and may be killed to stop
    it. Otherwise the computing is elsewhere and one worker may hold several executions."""

    def check_slots(self, slots_per_worker: int) -> None:
        """Raises ValueError for more slots than a worker of the engine may have."""
        if self.embedded and slots_per_worker != 1:
            message = "expected 1 for an engine that computes inside its worker; more workers run more queries"
            raise ValueError(f"{message}, not {slots_per_worker}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """SQL, parameters and limits, as handed to an engine."""

    sql: str
    query_id: str
    tenant: str = ""
    subject: str = ""
    """Who asks; for the labels that an engine shows beside its queries."""
    parameters: tuple[BoundParameter, ...] = ()
    catalog: str = ""
    schema: str = ""
    session_settings: Mapping[str, str] = field(default_factory=dict)
    execution_timeout_seconds: float = 1800.0
    """The engine's own deadline where it has one. The caller enforces it too, from outside."""
    enforced: tuple[Name, ...] | None = None
    """Tables whose rows the engine itself has to filter by tenant and subject; nothing of them may be read where it
    does not. The engine is given both, in a way that no statement can change, unless this is None.
    """
    allowed_functions: frozenset[str] = frozenset()
    """In lower case: functions, and tables of the system, that it may use although the adapter would refuse them."""


PLAIN_CHARACTERS: Final = NAME_BYTES_MAX // 4
"""Texts that have no more characters fit whatever they hold."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an execution is. A snapshot; None means that the engine does not say.

    Names are cut to their bounds, and a URL that is too long is left out.
    """

    fraction: float | None = None
    rows_scanned: int | None = None
    bytes_scanned: int | None = None
    splits_done: int | None = None
    splits_total: int | None = None
    engine_state: str = ""
    """The engine's own word for where the execution is, such as "PLANNING"."""
    engine_query_id: str = ""
    """The engine's name for this execution; stays once it is known."""
    engine_query_url: str = ""
    """Where people see the execution in the engine's own web pages."""

    def __post_init__(self) -> None:
        if len(self.engine_state) + len(self.engine_query_id) + len(self.engine_query_url) > PLAIN_CHARACTERS:
            # The way to set a field of a frozen dataclass while it is made.
            object.__setattr__(self, "engine_state", shortened(self.engine_state, NAME_BYTES_MAX))
            object.__setattr__(self, "engine_query_id", shortened(self.engine_query_id, NAME_BYTES_MAX))
            object.__setattr__(self, "engine_query_url", whole_or_none(self.engine_query_url, URL_BYTES_MAX))


class Execution(ABC):
    """One statement, run at most once. A context manager: leaving it closes.

    `start`, `batches` and `close` are called from one thread, in this order; `cancel` and `progress` from any.
    """

    @abstractmethod
    def start(self) -> pa.Schema:
        """Begin, and return the columns: canonical Arrow types, with the engine's own type name as field metadata
        `engine_type`.

        Raises QueryEngineError: SYNTAX_ERROR or STATEMENT_REJECTED in the engine's words, with position and SQLSTATE
        where it reports them; STATEMENT_REJECTED for a statement that returns no columns; PARAMETER_MISMATCH;
        UNSUPPORTED; OUT_OF_MEMORY; QUERY_TIMEOUT; ENGINE_UNAVAILABLE when it cannot be reached; QUERY_CANCELLED after
        `cancel`; ENGINE_ERROR for everything else. No foreign exception gets out.
        """

    @abstractmethod
    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield every row once, in the engine's order, in batches of at least one row, all of the schema that `start`
        returned. Memory stays bounded whatever the number of rows: the engine is not read ahead of the consumer by more
        than a few batches, and a batch is at most some tens of MiB, as long as single values are not wider than a KiB.
        An adapter that cannot know widths ahead may yield more for wider ones; docs/engines.md then says so.

        Raises as `start` does. A result that could not be read to its end raises; it never just stops.
        """

    @abstractmethod
    def progress(self) -> Progress:
        """A snapshot, without I/O; never raises; `fraction` never goes back."""

    @abstractmethod
    def cancel(self) -> None:
        """Stop, and return when nothing of this execution runs on the engine any more, and everything is released.

        From any thread, at any time, any number of times, also before `start` and after the end (then it does nothing).
        Whoever is inside `start` or `batches` gets QUERY_CANCELLED. An engine may drop an interrupt that comes early,
        so an adapter repeats it. It may block for long when the engine does not listen; the caller then kills the
        worker. Raises QueryEngineError when something could not be stopped or released; all the rest is released
        nevertheless, and `cancel_confirmed` is False from then on.
        """

    @property
    def cancel_confirmed(self) -> bool:
        """Whether the engine itself has said that nothing of the execution runs, once `cancel` has ended. False when it
        could not be asked. Means nothing where the traits deny `cancel_confirmed`.
        """
        return True

    @abstractmethod
    def close(self) -> None:
        """Cancel, and leave the engine's open executions. Idempotent; releases even when it raises, as `cancel` does.
        Leaving early is close.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """A close that fails does not hide the exception that led here; it is logged then."""
        try:
            self.close()
        except QueryEngineError as cause:
            if value is None:
                raise
            logger.warning("an execution that has failed could not be released: %s", cause)


PolicyProblem = tuple[int | None, str]
"""The number of a relation in the policy, or None for all of it, and what is wrong."""


class JudgedPolicy(NamedTuple):
    """What an adapter says of a policy."""

    problems: Sequence[PolicyProblem]
    compared: Sequence[tuple[int, str]] = ()
    """Columns that its predicates compare with the caller's tenant or subject, with the numbers of their relations."""


NO_POLICIES: Final = "row and column policies cannot be applied to this kind of engine"


class Engine(ABC):
    """A configured external system. Constructed once per worker process; several executions may be open at once unless
    its traits say embedded.
    """

    type_name: ClassVar[str]
    """The word for this kind of engine in configuration and contract."""

    @classmethod
    @abstractmethod
    def traits(cls, options: Mapping[str, Any]) -> EngineTraits:
        """What an engine with these options can do. No I/O. Raises ValueError that names the key of a wrong option, and
        OptionError for one that lies deeper.
        """

    @classmethod
    def problems(cls, options: Mapping[str, Any]) -> Sequence[OptionError]:  # noqa: ARG003 - most are elsewhere
        """What cannot be used as it is within the places that the options name; that a place is missing is found by
        engines/kit/places.py. Looks at names on the disk, not at data. Raises ValueError as `traits` does.
        """
        return ()

    @classmethod
    def known_functions(cls, options: Mapping[str, Any]) -> frozenset[str]:  # noqa: ARG003 - as above
        """Names of all functions that the engine has, in lower case; empty when not all are known beforehand."""
        return frozenset()

    @classmethod
    def warnings(cls, options: Mapping[str, Any]) -> Sequence[OptionError]:  # noqa: ARG003 - as above
        """What the options say to no effect on this machine as it is now, and what of it will not work. It keeps
        nothing else from working.
        """
        return ()

    @classmethod
    @abstractmethod
    def check(cls, sql: str, options: Mapping[str, Any]) -> None:
        """Refuse SQL that cannot run, from its text alone, without touching data.

        Raises QueryEngineError: SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED for anything but
        one statement that reads. Runs in a process of its own under a time limit, as the text may be hostile.
        """

    @classmethod
    def analyse(cls, sql: str, options: Mapping[str, Any]) -> Analysis:
        """What is known of SQL from its text alone; what is not understood is not known. Refuses what `check` refuses,
        takes about as long, and runs where it does.
        """
        cls.check(sql, options)
        return NOT_ANALYSED

    @classmethod
    def secured(cls, sql: str, policy: RowPolicy, options: Mapping[str, Any]) -> SecuredText:  # noqa: ARG003
        """The text that runs in place of one that `check` lets pass, and that reads only what a principal may see. What
        is not understood for certain is refused. Runs where `check` does.

        Raises RELATION_NOT_ALLOWED, STATEMENT_NOT_ALLOWED, STATEMENT_TOO_COMPLEX; UNSUPPORTED where policies cannot be
        applied.
        """
        raise error(Reason.UNSUPPORTED, NO_POLICIES, feature="policies")

    @classmethod
    def policy_problems(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[PolicyProblem]:  # noqa: ARG003
        """What of a policy cannot be used. Values of placeholders are not looked at."""
        return ((None, NO_POLICIES),)

    @classmethod
    def judged(cls, policy: RowPolicy, options: Mapping[str, Any]) -> JudgedPolicy:
        """All that can be said of a policy without the engine."""
        found = list(cls.policy_problems(policy, options))
        enforced = [number for number, each in enumerate(policy.relations) if each.enforced]
        if enforced and (why := cls.enforcement_problem(options)):
            found += [(number, f"enforce: {why}") for number in enforced]
        return JudgedPolicy(found, cls.compared_columns(policy, options))

    @classmethod
    def enforcement_problem(cls, options: Mapping[str, Any]) -> str:  # noqa: ARG003
        """Why the engine cannot filter rows by who asks, as `Statement.enforced` demands; empty where it can."""
        return "expected rewrite: this kind of engine has no row policies that know who asks"

    @classmethod
    def compared_columns(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[tuple[int, str]]:  # noqa: ARG003
        """Columns that the predicates of a policy compare with the caller's tenant or subject, each with the number of
        its relation. None where the adapter does not look.
        """
        return ()

    @abstractmethod
    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        """Take the configured name and options, and connect as far as that can be done once for all executions.

        Raises QueryEngineError ENGINE_UNAVAILABLE with the cause when the system cannot be used at all, and ValueError
        that names the key of a wrong option.
        """

    @abstractmethod
    def version(self) -> str:
        """Product and version for people, such as "DuckDB 2.0.0"."""

    @abstractmethod
    def open(self, statement: Statement) -> Execution:
        """A handle for one run. Does no I/O and cannot fail: what is wrong with a statement shows in `start`."""

    def probe(self) -> None:  # noqa: B027 - An embedded engine answers as long as its process lives.
        """Ask the engine for a sign of life, with a bound of a few seconds. Called now and then from a thread of its
        own, beside executions. Raises ENGINE_UNAVAILABLE with the cause.
        """

    def refresh(self) -> Refreshed:
        """Look at the folder that the engine reads again, at once. Called from a thread of its own, beside executions,
        none of which notices. Changes are those since the last call, or since the engine was opened.

        Raises UNSUPPORTED for an engine that reads no folder, and ENGINE_UNAVAILABLE when it cannot look now.
        """
        message = "the engine reads no folder of files, so there is nothing to look at again"
        raise error(Reason.UNSUPPORTED, message, feature="refresh")

    def explain(self, statement: Statement) -> str:  # noqa: ARG002 - as above
        """How the engine would run a statement, in its own words; nothing of it runs. As careful as an execution of it,
        within its `execution_timeout_seconds`, and beside no other one on an engine that computes in this process.

        Raises as Execution.start does, and UNSUPPORTED for an engine that is not asked, and for a statement that is no
        query.
        """
        raise error(Reason.UNSUPPORTED, "this kind of engine is not asked how it runs a statement", feature="explain")

    def live_tables(self, tables: Sequence[AskedTable]) -> Sequence[LiveTable | None]:  # noqa: ARG002
        """Each of these tables as it is now; None for one that is not there, or that the service may not see. Called
        from a thread of its own, beside executions, none of which notices.

        Raises UNSUPPORTED where the adapter does not look, and ENGINE_UNAVAILABLE when the engine does not answer.
        """
        raise error(Reason.UNSUPPORTED, "the tables of this kind of engine are not looked at", feature="live_tables")

    def prepare(self) -> None:  # noqa: B027 - Most engines have nothing to prepare.
        """Do ahead what every execution needs. Called when the engine has been opened and after each execution, when
        nobody waits. Never raises.
        """

    @abstractmethod
    def close(self) -> None:
        """Release everything. Open executions are closed first. Idempotent."""
