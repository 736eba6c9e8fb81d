"""Addresses of peers, and the networks that they may be in."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def address_of(peer: str) -> Address | None:
    """The address in a peer as gRPC writes it; None for a unix socket. An IPv4 address inside IPv6, as a socket for
    both has it, is the IPv4 address.
    """
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    try:
        address = ip_address(rest.rpartition(":")[0].strip("[]"))
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_within(address: Address | None, networks: Iterable[Network]) -> bool:
    """Whether one of the networks has the address. Nothing is in a network without having an address."""
    return address is not None and any(address in network for network in networks)
