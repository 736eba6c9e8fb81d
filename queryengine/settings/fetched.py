"""URLs that the service fetches from, and who vouches for their servers."""

import ssl
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from queryengine.settings.paths import absolute
from queryengine.settings.secret import secret_error


def checked_url(danger: str) -> Callable[[str], str]:
    """A validator of a URL; `danger` says what whoever changes its document could do."""

    def check(value: str) -> str:
        """Raises ValueError, or a validation error that does not repeat the value."""
        if not value:
            return value
        try:
            parts = urlsplit(value)
            _ = parts.port
        except ValueError as cause:
            raise secret_error("expected a URL; write signs such as [ and ] in a path as %5B and %5D") from cause
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("expected https://host/path")
        if "@" in parts.netloc:
            # Not with the value, as other mistakes are: there may be a password in it.
            raise secret_error("expected https://host/path, without a user")
        if parts.fragment or not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError("expected https://host/path, without a fragment or spaces")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError(f"expected https: whoever can change what http brings {danger}")
        return value

    return check


def readable_authorities(value: Path | None) -> Path | None:
    """The absolute path of a PEM file with certificates. Raises ValueError."""
    if value is None:
        return None
    path = absolute(value)
    try:
        ssl.create_default_context(cafile=path)
    except OSError as cause:
        raise ValueError(f"cannot be used: {cause.strerror or cause}") from cause
    return path


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
