"""Which addresses only this machine can reach."""

import ipaddress
import re
from typing import Final

_UNIX: Final = ("unix:", "unix-abstract:")
_HOST: Final = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<plain>[^:\[\]]+))(?::\w+)?")


def is_local(address: str) -> bool:
    """Whether an address, such as host:port, [IPv6 address]:port or unix:path, is loopback or a unix socket.

    Of names only localhost counts: others are not looked up, as what they stand for may change.
    """
    if address.startswith(_UNIX):
        return True
    match = _HOST.fullmatch(address)
    if match is None:
        return False
    host = match["bracketed"] or match["plain"]
    if host.lower() == "localhost":
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback
