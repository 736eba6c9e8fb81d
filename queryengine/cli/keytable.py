"""API keys as people and as programs read them."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from queryengine.cli import jsontext
from queryengine.cli.consoles import table_lines, terminal_width
from queryengine.cli.statuses import moment
from queryengine.cli.visible import visible
from queryengine.client import ApiKey, NewApiKey
from queryengine.domain.clock import SystemClock


def key_lines(keys: Sequence[ApiKey]) -> list[str]:
    """A table that fits the terminal."""
    table = Table(show_edge=False)
    for name in ("id", "subject", "roles", "label", "created", "last used", "ends", "networks"):
        table.add_column(name, no_wrap=name == "id", overflow="fold")
    for key in keys:
        used = _minute(key.last_use_time) if key.last_use_time else "never"
        cells = (key.key_id, key.subject, _roles(key), key.label, _minute(key.create_time), used, _end(key))
        table.add_row(*(Text(visible(cell)) for cell in (*cells, ", ".join(key.cidrs))))
    return table_lines(table, terminal_width())


def about(key: ApiKey) -> str:
    """One line."""
    return visible(f"key {key.key_id} of {key.subject} in tenant {key.tenant}: {_roles(key)}; {_end(key)}")


def as_json(key: ApiKey) -> str:
    return jsontext.text(_values(key))


def new_as_json(made: NewApiKey) -> str:
    """The key's own object, with its secret and, for one that replaces another, that one."""
    values = {**_values(made.key), "secret": made.secret}
    if made.replaced is not None:
        values["replaced"] = _values(made.replaced)
    return jsontext.text(values)


def _values(key: ApiKey) -> dict[str, Any]:
    """What is not known is left out."""
    found = {name: value for name, value in dataclasses.asdict(key).items() if value is not None}
    return {name: moment(value) if isinstance(value, dt.datetime) else value for name, value in found.items()}


def _roles(key: ApiKey) -> str:
    return ", ".join(key.roles)


def _end(key: ApiKey) -> str:
    if key.revoke_time is not None:
        return f"revoked {_minute(key.revoke_time)}"
    if key.expire_time is None:
        return "never expires"
    has_expired = key.expire_time.timestamp() <= SystemClock().now_us() / 1e6
    return f"expire{'d' if has_expired else 's'} {_minute(key.expire_time)}"


def _minute(time: dt.datetime) -> str:
    """In local time, as `ps` has it."""
    return f"{time.astimezone():%Y-%m-%d %H:%M}"
