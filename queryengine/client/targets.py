"""Which targets of gRPC only this machine can reach."""

from queryengine.domain.addresses import is_local


def stays_here(target: str) -> bool:
    """Whether calls to a target leave this machine by no network: loopback and unix sockets, also as gRPC writes them,
    such as dns:///localhost:8815 and ipv4:127.0.0.1:8815. A list must be all of them.
    """
    scheme, _, rest = target.partition(":")
    if scheme in ("ipv4", "ipv6"):
        return all(is_local(each) for each in rest.split(","))
    if scheme == "dns":
        # With an authority, //8.8.8.8/localhost, another server says what the name means.
        return is_local(rest.removeprefix("///"))
    return is_local(target)
