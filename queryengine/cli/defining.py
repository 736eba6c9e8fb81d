"""`queryengine named create` and `queryengine named update`: what a named query holds, as options."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from queryengine.cli import options
from queryengine.cli import sqloptions as of
from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.exits import ended
from queryengine.cli.options import Json
from queryengine.domain.identity import Role

if TYPE_CHECKING:
    from queryengine.client import QueryDefinition

Name = Annotated[str, typer.Argument(metavar="NAME", help="The named query.")]
Declared = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        metavar="'NAME:TYPE[?][=DEFAULT][ # TEXT]'",
        help="A parameter of the SQL: 'day:date', 'price:decimal(10,2)=9.50', 'region:string?=null # of the shop'. "
        "With ? it takes NULL. Defaults as with sql -p. Repeatable; give all of them, or '' for none.",
    ),
]
Description = Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")]
Owner = Annotated[str | None, typer.Option(metavar="TEXT", help="Who looks after it.")]
Engine = Annotated[str | None, typer.Option("--engine", "-e", metavar="NAME", help="Engine that it runs on.")]
Catalog = Annotated[str | None, typer.Option(metavar="NAME", help="Catalog that names without one are looked up in.")]
Schema = Annotated[str | None, typer.Option(metavar="NAME", help="Schema that names without one are looked up in.")]
Timeout = Annotated[str | None, typer.Option(metavar="DURATION", help="Longest run, such as 90s; '' for no own limit.")]
Limit = Annotated[int | None, typer.Option(min=0, help="Most rows; 0 for no own limit.")]
CacheAge = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="How old a stored result may be to answer a run; '' for never."),
]
Roles = Annotated[
    list[Role] | None,
    typer.Option("--role", help="Who may run it: callers with one of these roles; repeatable. Default: everybody."),
]


@connected
def create(
    config: ClientConfig,
    name: Name,
    file: Annotated[str, typer.Argument(metavar="FILE", help="File with the SQL; - reads standard input.")],
    *,
    param: Declared = None,
    description: Description = None,
    owner: Owner = None,
    engine: Engine = None,
    catalog: Catalog = None,
    schema: Schema = None,
    setting: of.Setting = None,
    timeout: Timeout = None,
    limit: Limit = None,
    cache_age: CacheAge = None,
    role: Roles = None,
    as_json: Json = False,
) -> None:
    """Create a named query from the SQL in a file. The server checks the SQL without running it.

    Takes the role tenant_admin. Placeholders are written as the engine wants them, such as $day for DuckDB, and each is
    declared by --param:

    \b
    queryengine named create sales.daily daily.sql --param day:date --param 'region:string=EU # of the shop'
    queryengine named tag sales.daily prod 1
    queryengine named run sales.daily@prod -p day=2026-11-28
    """  # noqa: D301 - A raw \b would be shown; the character keeps the lines apart.
    from queryengine.cli import namedtable
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported
    from queryengine.client import QueryDefinition

    given = _given(
        param=param,
        description=description,
        owner=owner,
        engine=engine,
        catalog=catalog,
        schema=schema,
        setting=setting,
        timeout=timeout,
        limit=limit,
        cache_age=cache_age,
        role=role,
    )
    sql = _sql(file)
    with reported(config, sql=sql), connect(config) as client:
        made = client.named_queries.create(name, _made(QueryDefinition(sql=sql), given))
    typer.echo(namedtable.as_json(made) if as_json else namedtable.about(made))


@connected
def update(
    config: ClientConfig,
    name: Name,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="File with the new SQL; - reads standard input.")
    ] = None,
    *,
    expect: Annotated[
        int | None,
        typer.Option(min=1, metavar="VERSION", help="Refuse when another version is the newest."),
    ] = None,
    param: Declared = None,
    description: Description = None,
    owner: Owner = None,
    engine: Engine = None,
    catalog: Catalog = None,
    schema: Schema = None,
    setting: of.Setting = None,
    timeout: Timeout = None,
    limit: Limit = None,
    cache_age: CacheAge = None,
    role: Roles = None,
    everybody: Annotated[bool, typer.Option("--everybody", help="Take away the roles that it was for.")] = False,
    as_json: Json = False,
) -> None:
    """Make a new version of a named query. What is not given stays as it is in the newest version.

    Tags stay where they are: `queryengine named tag NAME prod VERSION` moves one. Of two people who update at a time,
    one is refused, and nothing is lost.
    """
    from queryengine.cli import namedtable
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    given = _given(
        param=param,
        description=description,
        owner=owner,
        engine=engine,
        catalog=catalog,
        schema=schema,
        setting=setting,
        timeout=timeout,
        limit=limit,
        cache_age=cache_age,
        role=role,
    )
    if everybody:
        given["roles"] = ()
    if file is not None:
        given["sql"] = _sql(file)
    if not given:
        raise ended("there is nothing to change: give a file with SQL, or an option")
    with reported(config, sql=given.get("sql", "")), connect(config) as client:
        found = client.named_queries.get(name)
        made = client.named_queries.update(
            name, _made(found.definition, given), expected_version=expect or found.latest_version
        )
    typer.echo(namedtable.as_json(made) if as_json else namedtable.about(made))


def _sql(file: str) -> str:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ended(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not text.strip():
        raise ended(f"there is no SQL in {'standard input' if file == '-' else file}")
    return text


def _given(
    *,
    param: Sequence[str] | None,
    description: str | None,
    owner: str | None,
    engine: str | None,
    catalog: str | None,
    schema: str | None,
    setting: Sequence[str] | None,
    timeout: str | None,
    limit: int | None,
    cache_age: str | None,
    role: Sequence[Role] | None,
) -> dict[str, Any]:
    """The fields of a definition that were given. Raises typer.BadParameter."""
    from queryengine.cli.declaring import declared

    found: dict[str, Any] = {
        "parameters": None if param is None else tuple(declared(text) for text in param if text.strip()),
        "description": description,
        "owner": owner,
        "engine": engine,
        "catalog": catalog,
        "schema": schema,
        "session_settings": None if setting is None else options.pairs("--setting", setting),
        "row_limit": limit,
        "roles": None if role is None else tuple(role),
    }
    found = {name: value for name, value in found.items() if value is not None}
    for name, option, text in (
        ("execution_timeout", "--timeout", timeout),
        ("cache_max_age", "--cache-age", cache_age),
    ):
        if text is not None:
            found[name] = options.seconds(option, text) if text else None
    return found


def _made(definition: "QueryDefinition", given: dict[str, Any]) -> "QueryDefinition":
    return replace(definition, **given)
