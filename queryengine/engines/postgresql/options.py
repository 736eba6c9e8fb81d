"""Options of a PostgreSQL engine: from an URL of SQLAlchemy to the connection string of libpq."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

APPLICATION: Final = "queryengine"
"""How our connections are called in pg_stat_activity."""

_KNOWN: Final = ("url", "connect_args", "answer_timeout_seconds", "allow_privileged_role", "roles", "allow_functions")
_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
)
"""Bounds of a network that went silent; libpq's own are minutes, or none."""


@dataclass(frozen=True, slots=True)
class PostgreSQLOptions:
    conninfo: str
    """With the password; never shown."""
    shown: str
    """The URL without its password."""
    answer_timeout_seconds: float
    """How long a server may be silent on a connection on which nothing else runs, until it counts as lost."""
    allow_privileged_role: bool
    allow_functions: frozenset[str]
    """Functions that statements may call although the guard of the adapter would refuse them."""
    roles: Mapping[str, str]
    """The role in which the statements of a tenant run, by tenant; empty: all run in that of the connection."""

    @classmethod
    def parse(cls, url: sa.URL, options: Mapping[str, Any]) -> Self:
        """Raises ValueError that names the key of a wrong option, without a password in the text."""
        for key in options:
            if key not in _KNOWN:
                raise ValueError(f"unknown option {key!r} for PostgreSQL; known: {', '.join(_KNOWN)}")
        seconds = options.get("answer_timeout_seconds", 10)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 600:
            raise ValueError("option 'answer_timeout_seconds' must be a number above 0, up to 600")
        privileged = options.get("allow_privileged_role", False)
        if not isinstance(privileged, bool):
            raise ValueError("option 'allow_privileged_role' must be true or false")  # noqa: TRY004 - as every option
        roles = options.get("roles", {})
        if not isinstance(roles, Mapping) or not all(isinstance(each, str) and each for each in roles.values()):
            raise ValueError("option 'roles' must be a mapping of tenants to names of roles")
        allowed = options.get("allow_functions", ())
        if not isinstance(allowed, list | tuple) or not all(isinstance(each, str) and each for each in allowed):
            raise ValueError("option 'allow_functions' must be a list of names of functions")
        return cls(
            conninfo=_conninfo(url, options.get("connect_args", {})),
            shown=url.set(query={}).render_as_string(hide_password=True),
            answer_timeout_seconds=float(seconds),
            allow_privileged_role=privileged,
            allow_functions=frozenset(map(str.lower, allowed)),
            roles=MappingProxyType({str(tenant): role for tenant, role in roles.items()}),
        )


def _conninfo(url: sa.URL, connect_args: Mapping[str, Any]) -> str:
    parts = {"host": url.host, "port": url.port, "user": url.username, "password": url.password, "dbname": url.database}
    given = {key: value for key, value in parts.items() if value is not None}
    for key, value in url.query.items():
        given[key] = value if isinstance(value, str) else ",".join(value)
    settled = {"client_encoding": "utf8", "application_name": APPLICATION}
    try:
        made: str = make_conninfo(**{**_DEFAULTS, **given, **connect_args, **settled})
        return made
    except psycopg.Error:
        # Its text may repeat a value.
        message = "options 'url' and 'connect_args' must name connection parameters of libpq, such as sslmode"
        raise ValueError(message) from None
