"""`queryengine config client`: what the commands use to call a server, and where each value came from."""

from pathlib import Path

import typer

from queryengine.cli.clientconfig import DEFAULT, SETTINGS, VARIABLES, ClientConfig, config_file
from queryengine.cli.connected import connected

EXAMPLE = """\
server = "sql.example.org:8815"
tenant = "growth"
user = "ann"
ca = "/etc/ssl/our-ca.pem"
cert = "~/.config/queryengine/tls.crt"
key = "~/.config/queryengine/tls.key"
token_file = "~/.config/queryengine/token"
headers = {x-team = "growth"}"""


@connected
def client(config: ClientConfig) -> None:
    """Show which server the commands call, as whom, and why.

    An option of the command wins over the environment, the environment over the file. Values of headers and keys are
    not shown.
    """
    path = config_file()
    rows = [(setting.key, _shown(config, setting.key), config.origins[setting.key]) for setting in SETTINGS]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    typer.echo(f"file: {path}{'' if path.exists() else ' (not there)'}")
    typer.echo(f"environment: {', '.join(VARIABLES.values())}\n")
    for key, value, origin in rows:
        typer.echo(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {_origin(origin, path)}".rstrip())
    if not path.exists():
        typer.echo(f"\nThe file is TOML, every key optional:\n\n{EXAMPLE}")


def _shown(config: ClientConfig, key: str) -> str:
    value = getattr(config, key)
    if key == "tenant" and not config.tenant_given:
        return "that of the credential"
    if key == "headers":
        return ", ".join(name for name, _ in value) or "none"
    if key == "api_key":
        return "none" if value is None else "set, not shown"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value in (None, "") else str(value)


def _origin(origin: str, path: Path) -> str:
    if origin == DEFAULT:
        return DEFAULT
    if origin == str(path):
        return "from the file"
    return f"from {origin}"
