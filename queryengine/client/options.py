"""How to run a statement: the keyword arguments of `submit` and `query`, with their types and what they mean.

Type checkers, `help()` and `inspect.signature()` show what stands here for the functions that take them.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final, TypedDict, TypeVar, get_type_hints

from queryengine.client.arguments import Seconds, choice, flag, seconds, text, texts, whole
from queryengine.domain.submission import Compression, LimitAction, WideIntegers

F = TypeVar("F", bound=Callable[..., Any])


class RunOptions(TypedDict, total=False):
    """Options of `submit` and `query`. What is left out is the server's default. Durations: seconds or a timedelta."""

    named: Annotated[str, "A named query in place of sql, such as report@prod; see named_queries."]
    engine: Annotated[str, "Name of a configured engine; see engines()."]
    query_id: Annotated[str, "UUID that names the query and makes a repeated submit safe; a new one by default."]
    wait_timeout: Annotated[
        Seconds,
        "How long the call waits for the query to end, so that its first rows come in the same reply; at most 60 "
        "seconds. 0.1 for query, 0 for submit.",
    ]
    catalog: Annotated[str, "Catalog that unqualified names are looked up in."]
    schema: Annotated[str, "Schema that unqualified names are looked up in."]
    queue_timeout: Annotated[Seconds, "Longest wait for a slot; the query then fails with QUEUE_TIMEOUT."]
    execution_timeout: Annotated[Seconds, "Longest run on the engine; the query then fails with QUERY_TIMEOUT."]
    row_limit: Annotated[int, "Rows after which the result is cut, or the query fails: see on_limit. 0 is no limit."]
    byte_limit: Annotated[int, "As row_limit, for the bytes of the stored result."]
    scan_row_limit: Annotated[
        int,
        "Rows that the engine may read; the query fails with SCAN_LIMIT when it reports more while it runs.",
    ]
    scan_byte_limit: Annotated[int, "As scan_row_limit, in bytes."]
    interactive: Annotated[bool, "Whether somebody waits for it: it may run for 2 minutes by default, and no longer."]
    on_limit: Annotated[LimitAction | str, "'truncate' (the default) or 'fail'."]
    ttl: Annotated[Seconds, "How long the rows are kept after the end."]
    compression: Annotated[Compression | str, "Of stored and sent rows: 'none' (the default), 'lz4' or 'zstd'."]
    wide_integers: Annotated[
        WideIntegers | str, "How numbers of more than 38 digits come: 'fail' (the default), 'string' or 'decimal256'."
    ]
    labels: Annotated[Mapping[str, str], "For people, and for list_queries; at most 32."]
    session_settings: Annotated[Mapping[str, str], "Settings of the engine, of those its EngineInfo names."]
    priority: Annotated[int, "0 to 9; higher starts earlier among the tenant's own."]
    dialect: Annotated[
        str,
        "Dialect that the SQL is written in, for routing rules: 'clickhouse', 'duckdb', 'mysql', 'postgresql', "
        "'spark', 'sqlite' or 'trino'. Refused where the engine reads another and no rule has it translated.",
    ]
    strict_routing: Annotated[bool, "Wait for the engine that routing prefers, also while it is down or full."]
    disconnect_grace: Annotated[
        Seconds,
        "How long a query that ends with its reader goes on without one; 10 seconds for query, 60 for submit with "
        "cancel_on_disconnect.",
    ]


class SubmitOptions(RunOptions, total=False):
    """Options of `submit`."""

    cancel_on_disconnect: Annotated[
        bool, "Cancel the query when nobody has read or watched it for disconnect_grace. False by default."
    ]


class QueryOptions(RunOptions, total=False):
    """Options of `query`."""

    detach: Annotated[
        bool, "Let the query run on when its reader leaves or dies before all rows are read. False by default."
    ]


class _Default:
    """Stands for what the server does without the option."""

    def __repr__(self) -> str:
        return "<default>"


DEFAULT: Final = _Default()


def takes(kind: type) -> Callable[[F], F]:
    """Make `help()` and `inspect.signature()` of a function show the options that its `**options` takes."""
    described = get_type_hints(kind, include_extras=True)
    plain = get_type_hints(kind)
    meanings = "\n".join(f"    {name}: {annotated.__metadata__[0]}" for name, annotated in described.items())

    def show(function: F) -> F:
        signature = inspect.signature(function)
        kept = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        options = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULT, annotation=annotation)
            for name, annotation in plain.items()
        ]
        shown: Any = function
        shown.__signature__ = signature.replace(parameters=[*kept, *options])
        shown.__doc__ = f"{inspect.getdoc(function)}\n\nOptions, all by keyword:\n{meanings}"
        return function

    return show


CHECKS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "named": text,
    "engine": text,
    "query_id": text,
    "wait_timeout": seconds,
    "catalog": text,
    "schema": text,
    "queue_timeout": seconds,
    "execution_timeout": seconds,
    "row_limit": whole,
    "byte_limit": whole,
    "scan_row_limit": whole,
    "scan_byte_limit": whole,
    "interactive": flag,
    "on_limit": partial(choice, kind=LimitAction),
    "ttl": seconds,
    "compression": partial(choice, kind=Compression),
    "wide_integers": partial(choice, kind=WideIntegers),
    "labels": texts,
    "session_settings": texts,
    "priority": partial(whole, bits=32),
    "dialect": text,
    "strict_routing": flag,
    "disconnect_grace": seconds,
    "cancel_on_disconnect": flag,
    "detach": flag,
}
"""What becomes of each option: its value, durations in seconds, or an error that names it."""


def checked(options: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """The options that were given and are not None. Raises TypeError for an unknown one: a misspelt limit would not
    limit anything.
    """
    known = kind.__optional_keys__
    unknown = [name for name in options if name not in known]
    if unknown:
        raise TypeError(f"unknown options: {', '.join(unknown)}; known: {', '.join(get_type_hints(kind))}")
    return {name: CHECKS[name](name, value) for name, value in options.items() if value is not None}
