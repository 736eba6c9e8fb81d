"""Options of a Trino engine: read once, checked without I/O, secrets never in a message."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self
from urllib.parse import SplitResult, urlsplit

DEADLINE: Final = "query_max_run_time"
"""The session property that holds a statement's deadline."""

SESSION_SETTINGS: Final = (
    "time_zone_id",
    "join_distribution_type",
    "join_reordering_strategy",
    "query_max_cpu_time",
    "query_max_scan_physical_bytes",
)
_PLACEHOLDER: Final = re.compile(r"\{(?:tenant|subject)\}")
_PARTING: Final = re.compile(r"[^A-Za-z0-9_.~%-]")
"""What is in no percent-encoded text."""
PATTERN_WANTED: Final = (
    "true, false, or a pattern of {tenant} and {subject} with a sign such as / between them, as in '{tenant}/{subject}'"
)
SECONDS_MAX: Final = 3600
PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrinoOptions:
    """What an engine of type trino may be given. Defaults are those of docs/engines.md."""

    url: str
    """The coordinator, such as https://trino.example.org:8443."""
    user: str = "queryengine"
    password: str = ""
    token: str = ""
    """A JSON web token, in place of a password."""
    impersonate: bool | str = False
    """Queries run as the statement's subject, where it has one; or as the user that a pattern makes of `{tenant}` and
    `{subject}`, in which both are percent-encoded."""
    catalog: str = ""
    schema: str = ""
    source: str = "queryengine"
    verify: bool | str = True
    """Whether certificates are checked; a path names the authorities to check against."""
    spooling: bool = True
    session_settings: tuple[str, ...] = SESSION_SETTINGS
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 30.0
    """Trino answers every request within about a second, with data or without."""
    retry_seconds: float = 10.0
    """How long a request is repeated that Trino or a proxy before it could not take."""
    heartbeat_seconds: float = 30.0

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """Raises ValueError that names the key of a wrong option."""
        known = {field.name: field for field in fields(cls)}
        for key, value in options.items():
            if key not in known:
                raise ValueError(f"unknown option {key!r} for a trino engine; known: {', '.join(known)}")
            _check(key, value)
        if "url" not in options:
            raise ValueError("option 'url' is required, as in https://trino.example.org:8443")
        values = dict(options)
        values["session_settings"] = tuple(options.get("session_settings", SESSION_SETTINGS))
        parsed = cls(**values)
        _check_credentials(parsed)
        return parsed

    @property
    def origin(self) -> tuple[str, str, int]:
        return origin(self.url)


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port. Raises ValueError for anything but an address that HTTP can reach."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("not an URL of HTTP")
    return parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]


def _check(key: str, value: Any) -> None:
    match key:
        case "url":
            _check_url(value)
            return
        case "impersonate" if isinstance(value, str):
            fits, wanted = is_pattern(value), PATTERN_WANTED
        case "impersonate" | "spooling":
            fits, wanted = isinstance(value, bool), "true or false"
        case "verify":
            fits, wanted = isinstance(value, bool | str), "true, false, or the path of a file with certificates"
        case "session_settings":
            fits = isinstance(value, list | tuple) and all(isinstance(each, str) and each for each in value)
            wanted = "a list of names of session properties"
        case _ if key.endswith("_seconds"):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            fits, wanted = is_number and 0 < value <= SECONDS_MAX, f"a number of seconds above 0, at most {SECONDS_MAX}"
        case _:
            fits = isinstance(value, str) and is_header_text(value)
            wanted = "a text of printable ASCII characters"
    if not fits:
        raise ValueError(f"option {key!r} must be {wanted}")
    if key == "session_settings" and DEADLINE in value:
        raise ValueError(f"option 'session_settings': {DEADLINE} holds the statement's own deadline")


def is_header_text(text: str) -> bool:
    return text.isascii() and (text.isprintable() or not text)


def is_pattern(text: str) -> bool:
    """Whether users that a pattern makes are different for different principals."""
    placeholders = _PLACEHOLDER.findall(text)
    between = _PLACEHOLDER.split(text)[1:-1]
    parted = all(_PARTING.search(each) for each in between)
    plain = _PLACEHOLDER.sub("", text)
    known = bool(placeholders) and len(set(placeholders)) == len(placeholders)
    return known and parted and is_header_text(plain) and not set(plain) & set("{}")


def _check_url(value: Any) -> None:
    example = "as in https://trino.example.org:8443"
    try:
        parts = urlsplit(value) if isinstance(value, str) else SplitResult("", "", "", "", "")
        origin(parts.geturl())
    except ValueError:
        raise ValueError(f"option 'url' must be an URL of HTTP, {example}") from None
    if parts.username or parts.password:
        raise ValueError("option 'url' must not hold credentials; there are options 'user' and 'password'")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(f"option 'url' must name a host and nothing behind it, {example}")


def _check_credentials(options: TrinoOptions) -> None:
    if options.password and options.token:
        raise ValueError("options 'password' and 'token' exclude each other")
    scheme, host, _ = options.origin
    secret = "password" if options.password else "token" if options.token else ""
    if secret and scheme != "https" and not _is_loopback(host):
        raise ValueError(f"option {secret!r} would travel in clear; use an URL of https")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
