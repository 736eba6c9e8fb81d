"""What both clients share: how one is opened, and how it and its handles describe themselves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from queryengine.client.arguments import Seconds
from queryengine.client.authorization import Token
from queryengine.client.backoff import OnRetry
from queryengine.client.calls import Call
from queryengine.client.channel import DEFAULT_TARGET, Connection
from queryengine.client.errors import QueryEngineClientError
from queryengine.v1 import query_service_pb2


class ClientBase:
    """A connection to one server, as one tenant and user."""

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        tenant: str = "",
        user: str = "",
        timeout: Seconds = 30.0,
        give_up_after: Seconds = 120.0,
        on_retry: OnRetry | None = None,
        tls: bool | None = None,
        ca_file: str | Path | None = None,
        cert_file: str | Path | None = None,
        key_file: str | Path | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        token: Token | None = None,
        token_file: str | Path | None = None,
        api_key: str | None = None,
        api_key_file: str | Path | None = None,
        allow_insecure_credentials: bool = False,
        metadata: Sequence[tuple[str, str]] = (),
        channel_options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        """Opens nothing yet: a server that is not there is noticed by the first call.

        target: HOST:PORT, or any gRPC target such as dns:///queryengine:8815.
        tenant, user: who calls; a tenant sees only its own queries. By default they are those of the token, key or
        certificate; without one, the tenant is `default`.
        timeout: longest time of one call, retries included, beyond what it is asked to wait.
        give_up_after: longest time for which reading a result, or watching, may make no progress.
        on_retry: called with the error when a stream broke and the first attempt to resume it failed, too.
        tls: True encrypts, and trusts the authorities that gRPC brings; without it and without files it is plain text.
        ca_file: authorities to trust instead, PEM; means tls.
        cert_file, key_file: the client's own certificate and its private key, PEM; means tls. Read once, here.
        credentials: of gRPC, in place of these.
        token: sent as `authorization: Bearer …`. A function is called before every call, and again when the server
        refuses its token, after which the call is made once more; for asyncio it may be a coroutine function, and must
        not block. Have it keep a token that takes long to fetch.
        token_file: a file with the token, read again when it changes.
        api_key, api_key_file: sent as `authorization: ApiKey …`, in the same two ways.
        allow_insecure_credentials: send them in plain text to another machine, where something on the way encrypts.
        metadata: sent with every call.
        channel_options: of gRPC, beside those that the client sets; these win.

        Durations are seconds or a timedelta. Raises ValueError or TypeError for a setting that makes no sense.
        """
        self._connection = Connection(
            target=target,
            tenant=tenant,
            user=user,
            timeout=timeout,
            give_up_after=give_up_after,
            on_retry=on_retry,
            tls=tls,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            credentials=credentials,
            token=token,
            token_file=token_file,
            api_key=api_key,
            api_key_file=api_key_file,
            allow_insecure_credentials=allow_insecure_credentials,
            metadata=metadata,
            channel_options=channel_options,
        )
        self._is_closed = False
        self._open()

    @property
    def connection(self) -> Connection:
        """The settings this client was made with."""
        return self._connection

    def __repr__(self) -> str:
        who = f", tenant {self._connection.tenant}" if self._connection.tenant else ""
        who += f", user {self._connection.user}" if self._connection.user else ""
        closed = ", closed" if self._is_closed else ""
        return f"<{type(self).__name__} {self._connection.target}{who}{closed}>"

    def _open(self) -> None:
        raise NotImplementedError

    def _seconds(self, call: Call[Any]) -> float:
        """Longest time of a call, retries included."""
        return self._connection.call_seconds + call.wait_seconds

    def _check_open(self) -> None:
        if self._is_closed:
            raise QueryEngineClientError("the client is closed")


class HandleBase:
    """One query of the tenant."""

    def __init__(self, query_id: str, reply: query_service_pb2.SubmitResponse | None) -> None:
        self.query_id = query_id
        self.reply = reply
        """To the submit that made this handle; None for one of `attach`."""
        self.existing = reply is not None and reply.existing
        """True when this query_id had been submitted before and nothing new was started."""

    def __repr__(self) -> str:
        existing = ", submitted before" if self.existing else ""
        return f"<{type(self).__name__} {self.query_id}{existing}>"
