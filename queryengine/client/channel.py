"""How the client talks to a server: channel options, retries of unary calls, and who is calling."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from queryengine.client.arguments import Seconds, pairs, seconds, text
from queryengine.client.backoff import Backoff, OnRetry

SERVICE: Final = "queryengine.v1.QueryService"
ADMIN_SERVICE: Final = "queryengine.v1.AdminService"
ADMIN_METHODS: Final = frozenset(
    {"CreateApiKey", "ListApiKeys", "RotateApiKey", "RevokeApiKey", "ReloadStatus", "Reload"}
)
DEFAULT_TARGET: Final = "127.0.0.1:8815"
STREAM_SECONDS: Final = 600.0
"""Longest life of one stream, so that a server that has gone silent is noticed; the result goes on with the
next one.
"""

RETRIED_METHODS: Final = (
    "Submit",
    "GetStatus",
    "Cancel",
    "CancelQueries",
    "FetchPage",
    "ListPages",
    "ListQueries",
    "ReleaseResults",
    "ListEngines",
    "RefreshEngine",
    "ListApiKeys",
    "RevokeApiKey",
    "ReloadStatus",
    "Reload",
)
"""Unary calls that are safe to repeat, Submit because the client chooses the query_id. To create or rotate a key is
not, as each time makes another one.
"""


def service_of(method: str) -> str:
    return ADMIN_SERVICE if method in ADMIN_METHODS else SERVICE


SERVICE_CONFIG: Final = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": service_of(method), "method": method} for method in RETRIED_METHODS],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)

OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.max_receive_message_length", 5 << 20),
    ("grpc.enable_retries", 1),
    ("grpc.service_config", SERVICE_CONFIG),
    # Keepalive finds a dead peer only with a ping timeout of its own; the default is a minute.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    # A restarted server is found within 2 seconds; the defaults back off to 2 minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
URL_SCHEMES: Final = ("http://", "https://")
LOOPBACK: Final = ("127.", "localhost:", "[::1]:", "unix:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the server is, who calls, and how long a call may take. Opens nothing."""

    target: str = DEFAULT_TARGET
    """Host and port, or any gRPC target such as dns:///queryengine:8815."""
    tenant: str = "default"
    user: str = ""
    timeout: Seconds = 30.0
    """Longest time of one unary call, retries included, beyond what it is asked to wait."""
    give_up_after: Seconds = 120.0
    """Longest time for which a stream may make no progress before reading it raises ServiceUnavailable."""
    on_retry: OnRetry | None = None
    """Called with the failure when a stream broke off and the first attempt to go on with it failed, too; once until
    something new arrives. The stream goes on trying.
    """
    credentials: grpc.ChannelCredentials | None = field(default=None, repr=False)
    """None: plain text."""
    metadata: Sequence[tuple[str, str]] = field(default=(), repr=False)
    """Sent with every call, such as an authorization token."""
    channel_options: Sequence[tuple[str, Any]] = ()
    """Win over the defaults."""
    identity: tuple[tuple[str, str], ...] = field(init=False, repr=False)
    call_seconds: float = field(init=False, repr=False)
    give_up_seconds: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in (("target", self.target), ("tenant", self.tenant), ("user", self.user)):
            text(name, value)
        pairs("metadata", self.metadata)
        object.__setattr__(self, "call_seconds", seconds("timeout", self.timeout))
        object.__setattr__(self, "give_up_seconds", seconds("give_up_after", self.give_up_after))
        if self.target.lower().startswith(URL_SCHEMES):
            raise ValueError(f"{self.target!r} is a URL; the address is HOST:PORT, without a scheme")
        if not self.target:
            raise ValueError("the target is empty; the address is HOST:PORT")
        for name, value in (("tenant", self.tenant), ("user", self.user)):
            if not value.isascii() or not value.isprintable():
                raise ValueError(f"{name} {value!r} holds characters other than printable ASCII")
        who = [("x-tenant-id", self.tenant)]
        who += [("x-user-id", self.user)] if self.user else []
        object.__setattr__(self, "identity", (*who, *self.metadata))

    def backoff(self) -> Backoff:
        """For one result or watch."""
        return Backoff(give_up_after=self.give_up_seconds, on_retry=self.on_retry)

    def options(self) -> list[tuple[str, Any]]:
        # A proxy from the environment is never meant for this machine itself.
        proxy = [("grpc.enable_http_proxy", 0)] if self.target.startswith(LOOPBACK) else []
        chosen = dict((*OPTIONS, *proxy, *self.channel_options))
        return list(chosen.items())

    def open(self) -> grpc.Channel:
        if self.credentials is None:
            return grpc.insecure_channel(self.target, self.options())
        return grpc.secure_channel(self.target, self.credentials, self.options())

    def open_aio(self) -> grpc.aio.Channel:
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.target, self.options())
        return grpc.aio.secure_channel(self.target, self.credentials, self.options())


def path(method: str) -> str:
    return f"/{service_of(method)}/{method}"
