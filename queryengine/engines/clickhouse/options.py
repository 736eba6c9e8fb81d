"""The options of a ClickHouse engine, and clients of clickhouse-connect made from them."""

import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect import common
from clickhouse_connect.driver.httpclient import HttpClient
from urllib3 import Timeout

_KINDS: Final[Mapping[str, type | tuple[type, ...]]] = MappingProxyType(
    {
        "url": str,
        "user": str,
        "password": str,
        "settings": Mapping,
        "identity_settings": Mapping,
        "ca_cert": str,
        "verify": bool,
        "connect_timeout_seconds": (int, float),
        "read_timeout_seconds": (int, float),
    }
)
_WORDS: Final[Mapping[object, str]] = MappingProxyType(
    {str: "text", Mapping: "a mapping", bool: "true or false", (int, float): "a number of seconds"}
)
# It logs what it also raises, with an URL that holds the values of parameters.
logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)

_PORTS: Final = MappingProxyType({"http": 8123, "https": 8443})
IDENTITY_SETTINGS: Final = MappingProxyType({"tenant": "SQL_queryengine_tenant", "subject": "SQL_queryengine_subject"})
_SETTING: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CONTROL_SECONDS: Final = 5.0
"""How long the server may take for what is asked beside a statement: whether it lives, what runs, a kill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickHouseOptions:
    """The options of a configured ClickHouse engine."""

    url: str
    """Of the HTTP interface, as in https://reader@host:8443/database; the database is the one that unqualified names
    mean."""
    user: str = ""
    """Instead of one in the URL; default without either."""
    password: str = field(default="", repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of ClickHouse for every statement. Sessions may lower a limit among them, not raise it."""
    identity_settings: Mapping[str, str] = field(default_factory=lambda: IDENTITY_SETTINGS)
    """Names of the settings that say who asks, by `tenant` and `subject`, to row policies of the server. Their prefix
    has to be one of the server's `custom_settings_prefixes`."""
    ca_cert: str = ""
    """Path of the certificate that signs the server's, in place of the system's."""
    verify: bool = True
    """Whether the server's certificate is checked."""
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 300.0
    """How long the server may send nothing at all while a statement runs."""

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> "ClickHouseOptions":
        """Raises ValueError that names the key of a wrong option; no password is in the text."""
        for key, value in options.items():
            if key not in _KINDS:
                raise ValueError(f"unknown option {key!r} for a clickhouse engine; known: {', '.join(_KINDS)}")
            kind = _KINDS[key]
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                raise ValueError(f"option {key!r} must be {_WORDS[kind]}")
        if "url" not in options:
            raise ValueError("option 'url' is missing: the URL of ClickHouse's HTTP interface")
        parsed = cls(**options)
        _parts(parsed.url)
        _check_identity(parsed.identity_settings)
        for key in ("connect_timeout_seconds", "read_timeout_seconds"):
            if getattr(parsed, key) <= 0:
                raise ValueError(f"option {key!r} must be more than 0 seconds")
        return parsed

    @property
    def address(self) -> str:
        """The server for people, without credentials."""
        parts = _parts(self.url)
        return f"{parts.scheme}://{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"

    def client(self, *, read_timeout_seconds: float) -> HttpClient:
        """A client without a session, so that several threads may use it at once. Asks the server for its version and
        its settings. Raises what clickhouse-connect raises.
        """
        # The driver cuts the server's words to 240 characters otherwise, for all clients of the process.
        common.set_setting("max_error_size", 0)
        parts = _parts(self.url)
        client = clickhouse_connect.get_client(
            interface=parts.scheme,
            host=parts.hostname or "",
            port=parts.port or _PORTS[parts.scheme],
            username=self.user or unquote(parts.username or "") or "default",
            password=self.password or unquote(parts.password or ""),
            database=parts.path.strip("/") or "__default__",
            connect_timeout=math.ceil(self.connect_timeout_seconds),
            send_receive_timeout=math.ceil(read_timeout_seconds),
            ca_cert=self.ca_cert or None,
            verify=self.verify,
            query_retries=0,
            autogenerate_session_id=False,
            show_clickhouse_errors="scrub",
            client_name="queryengine",
            dedicated_pool=True,
        )
        assert isinstance(client, HttpClient)
        # The driver itself takes whole seconds.
        client.timeout = Timeout(connect=self.connect_timeout_seconds, read=read_timeout_seconds)
        return client


def _check_identity(names: Mapping[str, str]) -> None:
    fits = all(isinstance(each, str) and _SETTING.fullmatch(each) for each in names.values())
    if set(names) != set(IDENTITY_SETTINGS) or not fits or len(set(names.values())) < len(names):
        example = "{tenant: SQL_tenant, subject: SQL_subject}"
        raise ValueError(f"option 'identity_settings' must name two settings, as in {example}")


def _parts(url: str) -> SplitResult:
    """Raises ValueError that names the option, without the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        raise ValueError("option 'url' must be the URL of ClickHouse's HTTP interface, as in http://host:8123/database")
    return parts
