"""Whether others than this machine can call a server, and what they could do then."""

from collections.abc import Iterator

from queryengine.domain.addresses import is_local
from queryengine.settings.model import Settings


def exposed(settings: Settings) -> str:
    """Why a server with these settings is not started unless that is asked for; empty when nothing is wrong.

    Without authentication a caller is whoever it says it is, so only this machine may call: loopback and unix sockets.
    """
    kinds = [each.type for each in settings.auth.authenticators]
    if kinds and "none" not in kinds:
        return ""
    for key, address in _reached(settings):
        return (
            f"{_place(settings, key)}: other hosts can reach {address}, where without authentication every caller is "
            "whoever it claims to be; set auth.authenticators (without `none`), or listen on 127.0.0.1, or start with "
            "`serve --insecure`"
        )
    return ""


def readable(settings: Settings) -> str:
    """What others on the network can read of calls; empty when they are encrypted or stay on this machine."""
    if settings.tls.is_on or is_local(settings.server.listen):
        return ""
    return (
        f"{_place(settings, 'server.listen')}: other hosts reach {settings.server.listen} in plain text, so whoever is "
        "on the way can read credentials and rows; set tls.certificate, or let a proxy on this machine encrypt"
    )


def _reached(settings: Settings) -> Iterator[tuple[str, str]]:
    for key, address in (("server.listen", settings.server.listen), ("tls.mutual_listen", settings.tls.mutual_listen)):
        if address and not is_local(address):
            yield key, address


def _place(settings: Settings, key: str) -> str:
    return f"{settings.origin(*key.split('.'))}: {key}"
