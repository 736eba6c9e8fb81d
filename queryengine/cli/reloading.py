"""`queryengine config status` and `config reload`: the configuration that a running server uses."""

from typing import TYPE_CHECKING

import typer

from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.exits import ExitCode
from queryengine.cli.options import Json

if TYPE_CHECKING:
    from queryengine.client import ServerConfiguration


@connected
def status(config: ClientConfig, *, as_json: Json = False) -> None:
    """Show which configuration the server uses.

    And what came of the last attempt to load another.

    Takes a credential with the role admin.
    """
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    with reported(config), connect(config) as client:
        found = client.reload_status()
    _show(found, as_json=as_json)


@connected
def reload(config: ClientConfig, *, as_json: Json = False) -> None:
    """Have the server load its configuration again.

    Takes a credential with the role admin. Exit code 1 when the server found mistakes and everything stayed as it was.
    """
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    with reported(config), connect(config) as client:
        found = client.reload()
    _show(found, as_json=as_json)
    if not found.last_attempt.applied:
        raise typer.Exit(ExitCode.FAILED)


def _show(found: "ServerConfiguration", *, as_json: bool) -> None:
    import dataclasses

    from queryengine.cli import jsontext
    from queryengine.cli.statuses import moment
    from queryengine.cli.visible import visible

    last = found.last_attempt
    if as_json:
        attempt = {**dataclasses.asdict(last), "end_time": moment(last.end_time)}
        fields = {**dataclasses.asdict(found), "load_time": moment(found.load_time), "last_attempt": attempt}
        typer.echo(jsontext.text(fields))
        return
    lines = [
        f"version {found.version}, loaded {moment(found.load_time)}",
        f"last attempt {moment(last.end_time)} ({last.trigger}): {'applied' if last.applied else 'refused'}",
        *(f"  changed: {name}" for name in last.changed),
        *(f"  {mistake}" for mistake in last.mistakes),
        *(f"needs a restart: {name}" for name in found.needs_restart),
        *(f"warning: {line}" for line in found.warnings),
    ]
    for line in lines:
        typer.echo(visible(line))
