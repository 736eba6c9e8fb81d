"""How the client talks to a server: channel options, retries of unary calls, and who is calling."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import grpc

from queryengine.client.arguments import Seconds, pairs, seconds, text
from queryengine.client.authorization import KEY as AUTHORIZATION_KEY
from queryengine.client.authorization import Authorization, Token, authorization
from queryengine.client.backoff import Backoff, OnRetry
from queryengine.client.encryption import channel_credentials
from queryengine.client.errors import RpcFailure, rpc_failure
from queryengine.client.targets import stays_here

SERVICE: Final = "queryengine.v1.QueryService"
ADMIN_SERVICE: Final = "queryengine.v1.AdminService"
NAMED_QUERY_SERVICE: Final = "queryengine.v1.NamedQueryService"
ADMIN_METHODS: Final = frozenset(
    {"CreateApiKey", "ListApiKeys", "RotateApiKey", "RevokeApiKey", "ReloadStatus", "Reload"}
)
NAMED_QUERY_METHODS: Final = (
    "CreateNamedQuery",
    "UpdateNamedQuery",
    "GetNamedQuery",
    "ListNamedQueries",
    "ListNamedQueryVersions",
    "DeleteNamedQuery",
    "TagNamedQuery",
    "UntagNamedQuery",
)
DEFAULT_TARGET: Final = "127.0.0.1:8815"
DEFAULT_TENANT: Final = "default"
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
    "GetUsage",
    "ListEngines",
    "RefreshEngine",
    "ListApiKeys",
    "RevokeApiKey",
    "ReloadStatus",
    "Reload",
    *NAMED_QUERY_METHODS,
)
"""Unary calls that are safe to repeat, Submit because the client chooses the query_id. To create or rotate a key is
not, as each time makes another one.
"""


def service_of(method: str) -> str:
    if method in ADMIN_METHODS:
        return ADMIN_SERVICE
    return NAMED_QUERY_SERVICE if method in NAMED_QUERY_METHODS else SERVICE


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
Metadata: TypeAlias = tuple[tuple[str, str], ...]
URL_SCHEMES: Final = ("http://", "https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the server is, who calls, and how long a call may take. Opens nothing."""

    target: str = DEFAULT_TARGET
    """Host and port, or any gRPC target such as dns:///queryengine:8815."""
    tenant: str = ""
    """By default that of the token, key or certificate; without one, `default`."""
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
    tls: bool | None = field(default=None, repr=False)
    """True encrypts without `credentials`, and trusts the authorities that gRPC brings."""
    ca_file: str | Path | None = field(default=None, repr=False)
    """Authorities to trust in place of those, PEM; means TLS."""
    cert_file: str | Path | None = field(default=None, repr=False)
    """Certificate of the client, followed by those between it and its authority, PEM; means TLS."""
    key_file: str | Path | None = field(default=None, repr=False)
    token: Token | None = field(default=None, repr=False)
    """A bearer token, or a function that returns one, called before every call."""
    token_file: str | Path | None = field(default=None, repr=False)
    """File with a bearer token, read again when it changes."""
    api_key: str | None = field(default=None, repr=False)
    api_key_file: str | Path | None = field(default=None, repr=False)
    """File with an API key, read again when it changes."""
    allow_insecure_credentials: bool = field(default=False, repr=False)
    """Whether a token or a key may be sent in plain text to another machine."""
    metadata: Sequence[tuple[str, str]] = field(default=(), repr=False)
    """Sent with every call."""
    channel_options: Sequence[tuple[str, Any]] = ()
    """Win over the defaults."""
    identity: Metadata = field(init=False, repr=False)
    """Metadata of every call, without the authorization."""
    authorization: Authorization | None = field(init=False, repr=False)
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
        if self.target != self.target.strip() or not self.target.isprintable():
            raise ValueError(f"the target {self.target!r} has blanks around it or a line break; it is HOST:PORT")
        if not self.target:
            raise ValueError("the target is empty; the address is HOST:PORT")
        for name, value in (("tenant", self.tenant), ("user", self.user)):
            if not value.isascii() or not value.isprintable():
                raise ValueError(f"{name} {value!r} holds characters other than printable ASCII")
        self._set_security()
        if not self.tenant and not self._shows_who_calls():
            object.__setattr__(self, "tenant", DEFAULT_TENANT)
        who = [("x-tenant-id", self.tenant)] if self.tenant else []
        who += [("x-user-id", self.user)] if self.user else []
        object.__setattr__(self, "identity", (*who, *self.metadata))

    def _set_security(self) -> None:
        shown = authorization(
            token=self.token, token_file=self.token_file, api_key=self.api_key, api_key_file=self.api_key_file
        )
        object.__setattr__(self, "authorization", shown)
        files = channel_credentials(
            tls=self.tls, ca_file=self.ca_file, cert_file=self.cert_file, key_file=self.key_file
        )
        if files is not None:
            if self.credentials is not None:
                raise ValueError("credentials has no effect beside tls, ca_file and cert_file; give one of them")
            object.__setattr__(self, "credentials", files)
        in_metadata = self._has_own_authorization()
        if shown is not None and in_metadata:
            raise ValueError("metadata has an authorization, too; give one of them")
        if (shown is not None or in_metadata) and not self._keeps_secrets():
            raise ValueError(
                f"{self.target} would get the token or key in plain text; encrypt with tls=True or ca_file, or accept "
                "it with allow_insecure_credentials=True"
            )

    def _has_own_authorization(self) -> bool:
        return any(key.lower() == AUTHORIZATION_KEY for key, _ in self.metadata)

    def _shows_who_calls(self) -> bool:
        """Whether a credential says which tenant calls."""
        return self.authorization is not None or self.cert_file is not None or self._has_own_authorization()

    def _keeps_secrets(self) -> bool:
        """Whether nobody on the way can read what is sent, or that was accepted."""
        return self.credentials is not None or stays_here(self.target) or self.allow_insecure_credentials

    def failure(self, error: grpc.RpcError) -> RpcFailure:
        """What an exception of a call or a stream says."""
        failure = rpc_failure(error, self.target)
        return replace(failure, may_renew=True) if self._may_renew() else failure

    def renews(self, error: grpc.RpcError) -> bool:
        """Whether the server refused an authorization that may be another one by now."""
        return self._may_renew() and self.failure(error).is_refusal

    def _may_renew(self) -> bool:
        return self.authorization is not None and self.authorization.may_change

    def backoff(self) -> Backoff:
        """For one result or watch."""
        return Backoff(give_up_after=self.give_up_seconds, on_retry=self.on_retry)

    def options(self) -> list[tuple[str, Any]]:
        # A proxy from the environment is never meant for this machine itself.
        proxy = [("grpc.enable_http_proxy", 0)] if stays_here(self.target) else []
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
