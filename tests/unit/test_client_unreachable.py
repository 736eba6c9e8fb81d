"""Every call says where nothing answers and what to do about it."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from queryengine.client import AsyncClient, Client, QueryEngineClientError, ServiceUnavailable
from tests.unit.fake_service import ID, FakeService, Refuse

WHAT_TO_DO = r"start a server with `queryengine serve`, or use the address that it prints after gRPC"

CALLS: dict[str, Callable[[Any], Any]] = {
    "submit": lambda client: client.submit("SELECT 1"),
    "query": lambda client: client.query("SELECT 1"),
    "list_queries": lambda client: client.list_queries(),
    "engines": lambda client: client.engines(),
    "status": lambda client: client.attach(ID).status(),
    "fetch_page": lambda client: client.attach(ID).fetch_page(),
    "cancel": lambda client: client.attach(ID).cancel(),
    "release": lambda client: client.attach(ID).release(),
    "to_arrow": lambda client: client.attach(ID).result().to_arrow(),
    "watch": lambda client: client.attach(ID).watch(),
}


@contextmanager
def nobody() -> Iterator[str]:
    """An address at which nothing listens; it is taken, so that nobody else comes to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def silence() -> Iterator[str]:
    """An address at which connections are taken and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def another_service() -> Iterator[str]:
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(0).wait()


PLACES = {
    "nobody": (nobody, ServiceUnavailable, "nothing answers at {target}; " + WHAT_TO_DO),
    "silence": (silence, ServiceUnavailable, "nothing answers at {target}( in the time that .*)?; " + WHAT_TO_DO),
    "another": (another_service, QueryEngineClientError, "what answers at {target} is not .*" + WHAT_TO_DO),
}
SETTINGS: dict[str, Any] = {
    "timeout": 0.3,
    "give_up_after": 0,
    # Without it, every call would be tried again for a while.
    "channel_options": (("grpc.enable_retries", 0),),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize(("place", "kind", "message"), PLACES.values(), ids=PLACES.keys())
def test_every_call_says_that_nothing_answers(call: Any, place: Any, kind: Any, message: str) -> None:
    with place() as target, Client(target, **SETTINGS) as client:
        with pytest.raises(kind, match=message.format(target=target)) as caught:
            list(call(client))
        assert caught.value.retryable is (kind is ServiceUnavailable)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize(("place", "kind", "message"), PLACES.values(), ids=PLACES.keys())
async def test_every_call_of_asyncio_says_so(grpc_awake: None, call: Any, place: Any, kind: Any, message: str) -> None:
    with place() as target:
        async with AsyncClient(target, **SETTINGS) as client:
            with pytest.raises(kind, match=message.format(target=target)):
                await answer_of(call(client))


async def answer_of(made: Any) -> object:
    return [each async for each in made] if isinstance(made, AsyncIterator) else await made


def test_a_server_that_takes_too_long_is_named(fake_target: str) -> None:
    with Client(fake_target, **SETTINGS) as client, pytest.raises(ServiceUnavailable) as caught:
        client.attach(ID).status()
    assert caught.value.message.startswith(f"nothing answers at {fake_target} in the time that the call may take; ")
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_what_the_transport_says_of_a_server_that_answers(fake_target: str, fake: FakeService) -> None:
    fake.replies["ListEngines"].extend([Refuse(grpc.StatusCode.INTERNAL), Refuse(grpc.StatusCode.PERMISSION_DENIED)])
    with Client(fake_target, **SETTINGS) as client:
        with pytest.raises(ServiceUnavailable, match=f"the connection to {fake_target} failed .INTERNAL: refused"):
            client.engines()
        with pytest.raises(QueryEngineClientError, match=f"{fake_target} refused the call .PERMISSION_DENIED: refus"):
            client.engines()


def test_an_address_without_host_or_port() -> None:
    with Client("no-such-host.invalid", **SETTINGS) as client, pytest.raises(ServiceUnavailable) as caught:
        client.engines()
    assert "no-such-host.invalid:443 (no port is given)" in caught.value.message
    with pytest.raises(ValueError, match="the target is empty; the address is HOST:PORT"):
        Client("")
