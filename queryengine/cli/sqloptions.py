"""How a statement runs: the options of `sql`, and what they ask of the server."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from queryengine.cli import options
from queryengine.cli.options import Format
from queryengine.domain.submission import WideIntegers

if TYPE_CHECKING:
    from queryengine.client import SubmitOptions


class OnLimit(StrEnum):
    """What happens at --limit or --byte-limit."""

    TRUNCATE = "truncate"
    FAIL = "fail"


Statement = Annotated[
    str | None,
    typer.Argument(
        metavar="SQL",
        help="The statement; - reads standard input. Without one, a prompt opens on a terminal.",
        show_default=False,
    ),
]
Named = Annotated[
    str,
    typer.Option(metavar="REFERENCE", help="Run this named query in place of SQL: NAME, NAME@VERSION or NAME@TAG."),
]
Parameter = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        metavar="NAME=VALUE",
        help="Value of a placeholder, as JSON or else as text: -p id=5, -p name=Ann, -p 'zip=\"01234\"'. "
        "Without NAME= for positional ones. Repeatable.",
    ),
]
Engine = Annotated[
    str, typer.Option("--engine", "-e", metavar="NAME", help="Engine to run on; `queryengine engines` lists them.")
]
Catalog = Annotated[str, typer.Option(metavar="NAME", help="Catalog that names without one are looked up in.")]
Schema = Annotated[str, typer.Option(metavar="NAME", help="Schema that names without one are looked up in.")]
Setting = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Setting of the engine for this query only; repeatable."),
]
Label = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="Label to find the query by, as in ps --label; repeatable."),
]
Priority = Annotated[
    int,
    typer.Option(min=0, max=9, metavar="NUMBER", help="Higher starts earlier among the tenant's queries that wait."),
]
Timeout = Annotated[str, typer.Option(metavar="DURATION", help="Longest run on the engine, such as 90s or 30m.")]
QueueTimeout = Annotated[str, typer.Option(metavar="DURATION", help="Longest wait for the engine.")]
Interactive = Annotated[
    bool,
    typer.Option(
        "--interactive", help="Somebody waits for it: it may run for as long as the server lets such queries."
    ),
]
Limit = Annotated[int, typer.Option(min=0, metavar="ROWS", help="Stop after so many rows; 0 means no limit.")]
ByteLimit = Annotated[str, typer.Option(metavar="SIZE", help="Stop after so much of the result, such as 100MiB.")]
AtLimit = Annotated[OnLimit, typer.Option("--on-limit", help="Keep the rows up to a limit, or fail there.")]
Keep = Annotated[str, typer.Option(metavar="DURATION", help="Keep the rows on the server for so long after the end.")]
Wide = Annotated[
    WideIntegers, typer.Option(help="How numbers that may have more than 38 digits come; fail refuses larger ones.")
]
Dialect = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Dialect that the SQL is written in, for the server's routing rules: clickhouse, duckdb, mysql, "
        "postgresql, spark, sqlite or trino.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option("--strict-routing", help="Wait for the engine that routing prefers, also while it is down or full."),
]
RowsFormat = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        help="table shows the first 40 rows. json is one object per line and loses nothing: decimals are strings. "
        "arrow is Arrow's file format (Feather), arrows its stream format. " + options.FORMAT_BY_DEFAULT,
    ),
]
Detach = Annotated[
    bool,
    typer.Option(
        "--detach", "-d", "--no-wait", help="Print the query's id and leave it running, also when this command ends."
    ),
]
Shown = Annotated[
    bool | None,
    typer.Option(
        "--progress/--no-progress",
        help="By default a bar on a terminal; elsewhere a line when the query takes longer than 3 seconds.",
    ),
]


def submit_options(
    *,
    engine: str = "",
    catalog: str = "",
    schema: str = "",
    setting: Sequence[str] | None = None,
    label: Sequence[str] | None = None,
    priority: int = 0,
    timeout: str = "",
    queue_timeout: str = "",
    limit: int = 0,
    byte_limit: str = "",
    on_limit: OnLimit = OnLimit.TRUNCATE,
    keep: str = "",
    wide_integers: WideIntegers = WideIntegers.FAIL,
    dialect: str = "",
    strict: bool = False,
    interactive: bool = False,
) -> "SubmitOptions":
    """From options as they are given; what a command has no option for is left out. Raises typer.BadParameter."""
    chosen: SubmitOptions = {
        "engine": engine,
        "catalog": catalog,
        "schema": schema,
        "priority": priority,
        "row_limit": limit,
        "on_limit": on_limit.value,
        "wide_integers": wide_integers,
        "dialect": dialect,
        "strict_routing": strict,
        "interactive": interactive,
        "labels": options.pairs("--label", label or ()),
        "session_settings": options.pairs("--setting", setting or ()),
    }
    if timeout:
        chosen["execution_timeout"] = options.seconds("--timeout", timeout)
    if queue_timeout:
        chosen["queue_timeout"] = options.seconds("--queue-timeout", queue_timeout)
    if byte_limit:
        chosen["byte_limit"] = options.size("--byte-limit", byte_limit)
    if keep:
        chosen["ttl"] = options.seconds("--keep", keep)
    return chosen
