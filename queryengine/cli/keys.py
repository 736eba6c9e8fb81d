"""`queryengine keys`: makes, lists, rotates and revokes API keys. A secret is printed once, alone on standard output,
so `queryengine keys create etl > etl.key` puts it in a file.
"""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from queryengine.cli import options
from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.options import Json
from queryengine.domain.clock import SystemClock
from queryengine.domain.identity import Role

if TYPE_CHECKING:
    from queryengine.client import ApiKey, NewApiKey

DEFAULT_ROLES = (Role.SUBMIT, Role.READ, Role.CANCEL)

KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="The key, by its id: KEY_ID of qe_KEY_ID_…")]
ENDS = "The new key is refused once this time has passed, such as 12h or 90d."


@connected
def create(
    config: ClientConfig,
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="The user or service that calls with the key.")],
    *,
    role: Annotated[
        list[Role] | None,
        typer.Option(help=f"What it allows; repeatable. Default: {', '.join(DEFAULT_ROLES)}."),
    ] = None,
    label: Annotated[str, typer.Option(metavar="TEXT", help="What it is for, for people.")] = "",
    cidr: Annotated[
        list[str] | None,
        typer.Option(metavar="NETWORK", help="It works from this network alone, such as 10.0.0.0/8; repeatable."),
    ] = None,
    expires: Annotated[str | None, typer.Option(metavar="DURATION", help=f"{ENDS} Default: never.")] = None,
    as_json: Json = False,
) -> None:
    """Create an API key of the tenant and print it, once.

    Takes a credential with the role tenant_admin, or admin, and with every role that the key gets. --tenant names the
    tenant for an admin of the service. The key goes to standard output, everything else to standard error:

    \b
    queryengine keys create etl --label 'nightly loads' --expires 90d > etl.key
    queryengine sql 'SELECT 1' --api-key-file etl.key
    """  # noqa: D301 - A raw \b would be shown; the character keeps the lines apart.
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    when = _from_now(expires)
    with reported(config), connect(config) as client:
        made = client.create_api_key(subject, role or DEFAULT_ROLES, label=label, cidrs=cidr or (), expires=when)
    _print_new(made, as_json=as_json)


@connected
def rotate(
    config: ClientConfig,
    key_id: KeyId,
    *,
    grace: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the old key works on, such as 1h, at most 30d.")
    ] = "0s",
    expires: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help=f"{ENDS} Default: the lifetime that the old key had, from now."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a key in the place of another one, and print it.

    It has the subject, roles, label and networks of the old key, and lasts as long as that was made to last. Without
    --grace the old key ends now: right for one that somebody else has seen. With it, there is time to hand the new one
    to whoever uses the old one.
    """
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    seconds, when = options.seconds("--grace", grace), _from_now(expires)
    with reported(config), connect(config) as client:
        made = client.rotate_api_key(_key_id(key_id), grace=seconds, expires=when)
    _print_new(made, as_json=as_json)


@connected
def revoke(config: ClientConfig, key_id: KeyId, *, as_json: Json = False) -> None:
    """End a key. It is refused from now on, and streams that were opened with it end at their next page.

    Other servers on the same database refuse it within 5 seconds. Queries that were submitted with it run on. A second
    call changes nothing.
    """
    from queryengine.cli import keytable
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    with reported(config), connect(config) as client:
        ended = client.revoke_api_key(_key_id(key_id))
    typer.echo(keytable.as_json(ended) if as_json else keytable.about(ended))


@connected
def listing(
    config: ClientConfig,
    *,
    subject: Annotated[str, typer.Option(metavar="SUBJECT", help="Only keys of this user or service.")] = "",
    ended: Annotated[
        bool, typer.Option("--all", "-a", help="Also those of the last 30 days that were revoked or have expired.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the API keys of the tenant, newest first. Secrets are not kept anywhere, so they are not shown."""
    from queryengine.cli import keytable
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported
    from queryengine.cli.hints import command

    found: list[ApiKey] = []
    token = ""
    with reported(config), connect(config) as client:
        while True:
            page = client.list_api_keys(subject=subject, include_ended=ended, page_size=1_000, page_token=token)
            found += page.keys
            token = page.next_page_token
            if not token:
                break
    if not found and not as_json:
        which = (f" of {subject}" if subject else "") + ("" if ended else " that work")
        hint = command(config, "keys", "create", subject or "SUBJECT")
        typer.echo(f"no API keys{which} in {config.tenant_in_words}; to create one: {hint}", err=True)
        return
    for line in map(keytable.as_json, found) if as_json else keytable.key_lines(found):
        typer.echo(line)


def generate() -> None:
    """Print a new key for `admin_keys` of a server's settings. Asks no server, and nothing is stored.

    It is how the first admin gets in: the key has all roles in every tenant as long as the settings name the file that
    holds it.

    \b
    (umask 077; queryengine keys generate > /etc/queryengine/admin.key)

    \b
    auth:
      authenticators:
        - type: api_key
          admin_keys: ["file:/etc/queryengine/admin.key"]
    """  # noqa: D301 - As above.
    from queryengine.domain.key_text import new_key

    typer.echo(new_key().text)


app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make, list, rotate and revoke API keys.")
app.command("generate")(generate)
app.command("create")(create)
app.command("list")(listing)
app.command("rotate")(rotate)
app.command("revoke")(revoke)


def _from_now(expires: str | None) -> dt.datetime | None:
    if expires is None:
        return None
    lasts = dt.timedelta(seconds=options.seconds("--expires", expires))
    return dt.datetime.fromtimestamp(SystemClock().now_us() / 1e6, dt.UTC) + lasts


def _key_id(text: str) -> str:
    """Raises typer.BadParameter for a whole key, which the shell keeps in its history."""
    if text.startswith("qe_"):
        raise typer.BadParameter("give the id, which stands behind qe_, and not the whole key", param_hint="KEY_ID")
    return text


def _print_new(made: "NewApiKey", *, as_json: bool) -> None:
    from queryengine.cli.keytable import about, new_as_json

    if as_json:
        typer.echo(new_as_json(made))
        return
    typer.echo(f"{about(made.key)}. It is shown this once:", err=True)
    typer.echo(made.secret)
    if made.replaced is not None:
        typer.echo(f"replaced: {about(made.replaced)}", err=True)
