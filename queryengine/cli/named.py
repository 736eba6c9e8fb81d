"""`queryengine named`: creates, updates, shows, lists, tags, deletes and runs named queries."""

from typing import TYPE_CHECKING, Annotated

import typer

from queryengine.cli import options
from queryengine.cli import sqloptions as of
from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.defining import Name, create, update
from queryengine.cli.options import Json, Output, Records
from queryengine.cli.sql import run_named, sink_of
from queryengine.domain.submission import WideIntegers

if TYPE_CHECKING:
    from queryengine.client import NamedQuery

Reference = Annotated[str, typer.Argument(metavar="REFERENCE", help="NAME, NAME@VERSION or NAME@TAG.")]


@connected
def get(
    config: ClientConfig,
    reference: Reference,
    *,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL alone, for a file.")] = False,
    as_json: Json = False,
) -> None:
    """Show a version of a named query: what it takes, its limits and its SQL."""
    from queryengine.cli import namedtable
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    with reported(config), connect(config) as client:
        found = client.named_queries.get(reference)
    if sql:
        typer.echo(found.definition.sql, nl=not found.definition.sql.endswith("\n"))
    elif as_json:
        typer.echo(namedtable.as_json(found))
    else:
        for line in namedtable.detail_lines(found):
            typer.echo(line)


@connected
def listing(
    config: ClientConfig,
    *,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="Only names that begin with this.")] = "",
    as_json: Json = False,
) -> None:
    """List the named queries that you may run, by name, with their newest version and tags."""
    from queryengine.cli import namedtable
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported
    from queryengine.cli.hints import command

    found: list[NamedQuery] = []
    token = ""
    with reported(config), connect(config) as client:
        while True:
            page = client.named_queries.list(prefix=prefix, page_size=1_000, page_token=token)
            found += page.named_queries
            token = page.next_page_token
            if not token:
                break
    if not found and not as_json:
        which = f" whose names begin with {prefix}" if prefix else ""
        hint = command(config, "named", "create", "NAME", "FILE")
        typer.echo(
            f"no named queries that you may run{which} in {config.tenant_in_words}; to create one: {hint}", err=True
        )
        return
    for line in map(namedtable.as_json, found) if as_json else namedtable.list_lines(found):
        typer.echo(line)


@connected
def versions(config: ClientConfig, name: Name, *, as_json: Json = False) -> None:
    """List the versions of a named query, newest first."""
    from queryengine.cli import namedtable
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    found: list[NamedQuery] = []
    token = ""
    with reported(config), connect(config) as client:
        while True:
            page = client.named_queries.versions(name, page_size=1_000, page_token=token)
            found += page.named_queries
            token = page.next_page_token
            if not token:
                break
    for line in map(namedtable.as_json, found) if as_json else namedtable.version_lines(found):
        typer.echo(line)


@connected
def delete(config: ClientConfig, name: Name) -> None:
    """Delete a named query. Queries that ran it keep their SQL, and run on.

    Versions that they refer to can be shown by `queryengine named get NAME@VERSION` for as long as the server keeps
    those queries. A second call changes nothing.
    """
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    with reported(config), connect(config) as client:
        kept = client.named_queries.delete(name)
    typer.echo(f"deleted {name}; versions kept for queries that ran them: {kept}")


@connected
def tag(
    config: ClientConfig,
    name: Name,
    tag: Annotated[str, typer.Argument(metavar="TAG", help="The tag, such as prod.")],
    version: Annotated[int, typer.Argument(min=1, metavar="VERSION", help="The version that it points at.")],
    *,
    as_json: Json = False,
) -> None:
    """Point a tag at a version, from wherever it pointed before. NAME@latest is always the newest version."""
    from queryengine.cli import namedtable
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    with reported(config), connect(config) as client:
        found = client.named_queries.tag(name, tag, version)
    typer.echo(namedtable.as_json(found) if as_json else namedtable.about(found))


@connected
def untag(
    config: ClientConfig,
    name: Name,
    tag: Annotated[str, typer.Argument(metavar="TAG", help="The tag.")],
    *,
    as_json: Json = False,
) -> None:
    """Take a tag away."""
    from queryengine.cli import namedtable
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    with reported(config), connect(config) as client:
        found = client.named_queries.untag(name, tag)
    typer.echo(namedtable.as_json(found) if as_json else namedtable.about(found))


@connected
def run(
    config: ClientConfig,
    reference: Reference,
    *,
    parameter: of.Parameter = None,
    label: of.Label = None,
    priority: of.Priority = 0,
    timeout: of.Timeout = "",
    queue_timeout: of.QueueTimeout = "",
    limit: of.Limit = 0,
    byte_limit: of.ByteLimit = "",
    on_limit: of.AtLimit = of.OnLimit.TRUNCATE,
    keep: of.Keep = "",
    wide_integers: of.Wide = WideIntegers.FAIL,
    format: of.RowsFormat = None,  # noqa: A002 - the option is called so
    expanded: Records = None,
    output: Output = None,
    detach: of.Detach = False,
    progress: of.Shown = None,
) -> None:
    """Run a named query, as `queryengine sql --named` does.

    `queryengine named get` shows what it takes. Parameters with a default may be left out.
    """
    sink = sink_of(options.rows_format(format, output), expanded, output)
    chosen = of.submit_options(
        label=label,
        priority=priority,
        timeout=timeout,
        queue_timeout=queue_timeout,
        limit=limit,
        byte_limit=byte_limit,
        on_limit=on_limit,
        keep=keep,
        wide_integers=wide_integers,
    )
    values = options.parameters(parameter or ())
    run_named(config, reference, values, chosen, sink, detach=detach, progress=progress)


app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Create, update, show, list, tag, delete and run named queries: SQL with typed parameters, in versions.",
)
app.command("create")(create)
app.command("update")(update)
app.command("get")(get)
app.command("list")(listing)
app.command("versions")(versions)
app.command("tag")(tag)
app.command("untag")(untag)
app.command("delete")(delete)
app.command("run")(run)
