"""`queryengine sql`: run one statement, show how far it is, and write its rows; or open a prompt."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from queryengine.cli import options
from queryengine.cli import sqloptions as of
from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.exits import ended
from queryengine.cli.hints import program
from queryengine.cli.options import Format, Output, ParameterValues, Records
from queryengine.domain.submission import WideIntegers

if TYPE_CHECKING:
    from queryengine.cli.running import Sink
    from queryengine.client import SubmitOptions


@connected
def sql(
    config: ClientConfig,
    statement: of.Statement = None,
    *,
    named: of.Named = "",
    parameter: of.Parameter = None,
    engine: of.Engine = "",
    catalog: of.Catalog = "",
    schema: of.Schema = "",
    setting: of.Setting = None,
    label: of.Label = None,
    priority: of.Priority = 0,
    timeout: of.Timeout = "",
    queue_timeout: of.QueueTimeout = "",
    interactive: of.Interactive = False,
    limit: of.Limit = 0,
    byte_limit: of.ByteLimit = "",
    on_limit: of.AtLimit = of.OnLimit.TRUNCATE,
    keep: of.Keep = "",
    wide_integers: of.Wide = WideIntegers.FAIL,
    dialect: of.Dialect = "",
    strict: of.Strict = False,
    format: of.RowsFormat = None,  # noqa: A002 - the option is called so
    expanded: Records = None,
    output: Output = None,
    detach: of.Detach = False,
    progress: of.Shown = None,
) -> None:
    """Run one SQL statement, or a named query.

    Rows go to standard output, everything else to standard error. Ctrl-C, TERM and HUP cancel the query on the server,
    and so does the loss of this command after 10 seconds; --detach leaves it running.
    """
    sink = sink_of(options.rows_format(format, output), expanded, output)
    values = options.parameters(parameter or ())
    chosen = of.submit_options(
        engine=engine,
        catalog=catalog,
        schema=schema,
        setting=setting,
        label=label,
        priority=priority,
        timeout=timeout,
        queue_timeout=queue_timeout,
        limit=limit,
        byte_limit=byte_limit,
        on_limit=on_limit,
        keep=keep,
        wide_integers=wide_integers,
        dialect=dialect,
        strict=strict,
        interactive=interactive,
    )
    if named:
        if statement is not None:
            raise ended("--named stands in the place of the statement; give one of the two")
        run_named(config, named, values, chosen, sink, detach=detach, progress=progress)
        return
    text = _text(statement)
    if text is None and (values is not None or output is not None or detach):
        raise ended("--parameter, --output and --detach belong to a statement; give one")
    if text is not None:
        _run(config, text, values, chosen, sink, detach=detach, progress=progress)
        return
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported
    from queryengine.cli.shell import Shell

    with reported(config), connect(config) as client:
        Shell(client, config, chosen, sink, is_shown=progress).run()


def run_named(
    config: ClientConfig,
    reference: str,
    values: ParameterValues,
    chosen: "SubmitOptions",
    sink: "Sink",
    *,
    detach: bool,
    progress: bool | None,
) -> None:
    """As a statement, which the server has."""
    _run(config, "", values, {**chosen, "named": reference}, sink, detach=detach, progress=progress)


def sink_of(rows_format: Format, expanded: bool | None, output: Path | None) -> "Sink":
    """Where rows go. Ends the command for bytes that are not for a terminal."""
    if rows_format in (Format.ARROW, Format.PARQUET) and output is None and sys.stdout.isatty():
        raise ended(f"{rows_format} is not for a terminal; name a file with --output")
    from queryengine.cli.running import Sink

    return Sink(rows_format, options.expanded(expanded), output)


def _run(
    config: ClientConfig,
    text: str,
    values: ParameterValues,
    chosen: "SubmitOptions",
    sink: "Sink",
    *,
    detach: bool,
    progress: bool | None,
) -> None:
    from queryengine.cli import running
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported
    from queryengine.cli.progress import progress_of

    asked = running.Submission.of(text, values, chosen)
    shown = progress_of(asked.query_id, is_shown=progress)
    with reported(config, sql=text), connect(config, say=shown.say) as client:
        if detach:
            running.detach(client, config, asked)
        else:
            running.run(client, config, asked, sink, shown)


def _is_file(statement: str) -> bool:
    """Whether what was given as SQL is one word that names a file, as report.sql does."""
    is_one_word = not any(sign.isspace() for sign in statement)
    try:
        return is_one_word and ("." in statement or os.sep in statement) and Path(statement).is_file()
    except ValueError:
        return False


def _text(statement: str | None) -> str | None:
    """The SQL; None asks for a prompt, which takes a terminal."""
    return None if statement is None and sys.stdin.isatty() and sys.stdout.isatty() else text_of(statement)


def text_of(statement: str | None) -> str:
    """The SQL that was given, or that standard input has."""
    if statement is not None and _is_file(statement):
        raise ended(f"{statement} is a file; to run what it holds: {program()} sql - < {shlex.quote(statement)}")
    text = sys.stdin.read() if statement in (None, "-") else statement
    if not text or not text.strip():
        raise ended("there is no SQL: give a statement, or put one on standard input")
    return text
