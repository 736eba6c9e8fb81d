"""One document over HTTP or HTTPS, with bounds on its time and its bytes, without blocking the event loop.

It is read by http.client in threads of its own: the standard library's parser of responses, and no further dependency
for one small request now and then. What that module cannot bound, a server that sends a byte now and then, is
bounded here: at the deadline the connection is shut down under it. Redirects are not followed and proxies not used.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

OK: Final = 200
_CHUNK_BYTES: Final = 64 << 10
_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"}
)


class FetchFailed(Exception):  # noqa: N818 - Named for what it says.
    """The document could not be had; the message says why, in one line."""


class Document:
    """A document at one URL. Close it."""

    def __init__(
        self,
        url: str,
        *,
        seconds: float,
        bytes_max: int,
        authorities: Path | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        threads: int = 1,
    ) -> None:
        """Over https, `authorities` is a PEM file of those that vouch for the server, read for each fetch; by default
        those that the system trusts do. `threads` fetch at the same time; others wait, within their own seconds.
        """
        self.url = url
        self._headers = {**_HEADERS, **headers}
        self._seconds = seconds
        self._bytes_max = bytes_max
        self._authorities = authorities
        self._thread = ThreadPoolExecutor(threads, "document")

    async def fetch(self, body: bytes | None = None) -> bytes:
        """The document as it is now, or the answer to a JSON document that is posted. Raises FetchFailed, at the latest
        when its seconds are over.
        """
        exchange = _Exchange(
            self.url, self._seconds, self._bytes_max, self._authorities, headers=self._headers, body=body
        )
        reading = asyncio.get_running_loop().run_in_executor(self._thread, exchange.read)
        try:
            async with asyncio.timeout(self._seconds):
                return await reading
        except TimeoutError as cause:
            raise FetchFailed(f"no whole answer within {self._seconds:g} seconds") from cause
        # Whatever the parser makes of what others wrote.
        except Exception as cause:
            raise FetchFailed(" ".join(str(cause).split())[:200] or type(cause).__name__) from cause
        finally:
            exchange.shut_down()

    def close(self) -> None:
        """End its thread, as soon as a fetch that is going on has failed at its deadline."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class _Exchange:
    """One request and its answer. `read` belongs to a thread; `shut_down` may be called from another one."""

    def __init__(
        self,
        url: str,
        seconds: float,
        bytes_max: int,
        authorities: Path | None,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> None:
        self._headers = headers
        self._body = body
        self._parts = urlsplit(url)
        self._seconds = seconds
        self._bytes_max = bytes_max
        self._authorities = authorities
        self._is_over = False
        self._socket: socket.socket | None = None

    def read(self) -> bytes:
        host = self._parts.hostname or ""
        is_secure = self._parts.scheme == "https"
        connection = (HTTPSConnection if is_secure else HTTPConnection)(host, self._parts.port)
        try:
            self._socket = socket.create_connection((host, connection.port), self._seconds)
            if is_secure:
                context = ssl.create_default_context(cafile=self._authorities)
                # Not with the handshake: while that goes on, there is to be something to shut down.
                secured = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
                self._socket = secured
                secured.do_handshake()
            if self._is_over:
                raise TimeoutError
            connection.sock = self._socket
            return self._answer(connection)
        finally:
            connection.close()
            if self._socket is not None:
                self._socket.close()

    def shut_down(self) -> None:
        """Have `read` fail at once, unless it is done."""
        self._is_over = True
        if self._socket is not None:
            with suppress(OSError):
                # That of the plain socket: the one of TLS would change what the thread is using.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _answer(self, connection: HTTPConnection) -> bytes:
        path = self._parts.path or "/"
        if self._parts.query:
            path += f"?{self._parts.query}"
        if self._body is None:
            connection.request("GET", path, headers=dict(self._headers))
        else:
            headers = {**self._headers, "Content-Type": "application/json"}
            connection.request("POST", path, self._body, headers)
        response = connection.getresponse()
        try:
            if response.status != OK:
                raise ValueError(f"the answer is status {response.status}")
            body = bytearray()
            while chunk := response.read(_CHUNK_BYTES):
                body += chunk
                if len(body) > self._bytes_max:
                    raise ValueError(f"the answer has more than {self._bytes_max:,} bytes")
            if response.length:
                # Read in parts, http.client does not say so.
                raise ValueError(f"the answer ended {response.length:,} bytes early")
            return bytes(body)
        finally:
            response.close()
