"""Which addresses only this machine can reach."""

import pytest

from queryengine.domain.addresses import is_local


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:8815",
        "127.0.0.1",
        "127.9.9.9:0",
        "localhost:1",
        "LocalHost:1",
        "localhost",
        "[::1]:8815",
        "[::1]",
        "[0:0::1]:1",
        "[::ffff:127.0.0.1]:1",
        "unix:/run/qe.sock",
        "unix-abstract:qe",
    ],
)
def test_loopback_and_unix_sockets_are_local(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        ":8815",
        "0.0.0.0:8815",
        "[::]:8815",
        "10.0.0.1:1",
        "192.168.1.2:1",
        "169.254.0.1:1",
        "[fe80::1]:1",
        "[::ffff:10.0.0.1]:1",
        "sql.example.org:1",
        # Names that look like it.
        "127.evil.example:1",
        "127.0.0.1.evil.example:1",
        "localhost.evil.example:1",
        "localhost:1@evil.example:2",
        "[::1].evil.example:1",
        "unixx:/a",
        # What the resolver of a machine may read as loopback, or not.
        "127.1:1",
        "2130706433:1",
        "0x7f.1:1",
        "0:1",
        # More than one.
        "127.0.0.1:1,10.0.0.1:1",
    ],
)
def test_everything_else_is_not(address: str) -> None:
    assert not is_local(address)
