"""What a client shows to say who it is: on every call, fresh when it was refused, and never to whoever listens."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
import pytest_asyncio

from queryengine.client import AccessDenied, AsyncClient, Client, ServiceUnavailable
from queryengine.client.targets import stays_here
from queryengine.v1 import query_service_pb2
from tests.unit.fake_service import (
    ID,
    FakeService,
    Hold,
    Refuse,
    numbers,
    page,
    rotate,
    schema,
    start,
    status,
    whole,
)

# gRPC's asyncio side wants one event loop per process.
pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "canary-7f3a"
RUNNING = query_service_pb2.GetStatusResponse(status=status("RUNNING", 1))
EXPIRED = Refuse(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
INVALID = Refuse(grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_INVALID")
PAGES = [numbers(10), numbers(5, start=10), numbers(3, start=15)]


class Tokens:
    """Gives t1, t2 and so on, one for each call; or whatever it has been told to give."""

    def __init__(self, *given: Any) -> None:
        self.calls = 0
        self.given = list(given)

    def __call__(self) -> str:
        self.calls += 1
        found = self.given.pop(0) if self.given else f"t{self.calls}"
        if isinstance(found, Exception):
            raise found
        return str(found)

    async def later(self) -> str:
        return self()


class Blocking:
    """A way to run the same test with both clients."""

    def __init__(self, target: str, **options: Any) -> None:
        self.client = Client(target, **options)

    async def status(self) -> Any:
        return self.client.attach(ID).status()

    async def table(self) -> pa.Table:
        return self.client.attach(ID).result().to_arrow()

    async def states(self) -> list[str]:
        return [str(each.state) for each in self.client.attach(ID).watch()]

    async def close(self) -> None:
        self.client.close()


class Asyncio:
    """The same for asyncio; a function is a coroutine function there."""

    def __init__(self, target: str, **options: Any) -> None:
        if isinstance(options.get("token"), Tokens):
            options["token"] = options["token"].later
        self.client = AsyncClient(target, **options)

    async def status(self) -> Any:
        return await self.client.attach(ID).status()

    async def table(self) -> pa.Table:
        return await self.client.attach(ID).result().to_arrow()

    async def states(self) -> list[str]:
        return [str(each.state) async for each in self.client.attach(ID).watch()]

    async def close(self) -> None:
        await self.client.close()


@pytest_asyncio.fixture(loop_scope="session", params=[Blocking, Asyncio])
async def connected(request: pytest.FixtureRequest, fake_target: str) -> Any:
    opened: list[Any] = []

    def connect(**options: Any) -> Any:
        opened.append(request.param(fake_target, **options))
        return opened[-1]

    yield connect
    for each in opened:
        await each.close()


def shown(fake: FakeService) -> list[str | None]:
    return [each.get("authorization") for each in fake.metadata]


# on every call


async def test_each_kind_of_credential_is_shown_as_servers_expect_it(
    fake: FakeService, connected: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    table = [
        ({"token": SECRET}, f"Bearer {SECRET}"),
        ({"token_file": path}, f"Bearer {SECRET}"),
        ({"token_file": str(path)}, f"Bearer {SECRET}"),
        ({"api_key": SECRET}, f"ApiKey {SECRET}"),
        ({"api_key_file": path}, f"ApiKey {SECRET}"),
        ({"token": Tokens()}, "Bearer t1"),
        ({}, None),
    ]
    for options, expected in table:
        fake.replies["GetStatus"].append(RUNNING)
        client = connected(**options)
        await client.status()
        assert shown(fake)[-1] == expected
        # The tenant is that of the credential, which no default may contradict.
        assert fake.metadata[-1].get("x-tenant-id") == ("default" if expected is None else None)


async def test_a_tenant_that_is_given_is_sent_beside_a_credential(
    fake: FakeService, connected: Callable[..., Any]
) -> None:
    fake.replies["GetStatus"].append(RUNNING)
    await connected(token=SECRET, tenant="acme").status()
    assert fake.metadata[0]["x-tenant-id"] == "acme"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
async def test_the_line_break_at_the_end_of_a_secret_is_not_sent(
    fake: FakeService, connected: Callable[..., Any], tmp_path: Path, end: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(f"{SECRET}{end}".encode())
    given: list[dict[str, Any]] = [
        {"token": f"{SECRET}{end}"},
        {"token": lambda: f"{SECRET}{end}"},  # A plain one serves asyncio, too.
        {"token_file": path},
        {"api_key": f"{SECRET}{end}"},
        {"api_key_file": path},
    ]
    for options in given:
        fake.replies["GetStatus"].append(RUNNING)
        await connected(**options).status()
    assert shown(fake) == [*[f"Bearer {SECRET}"] * 3, *[f"ApiKey {SECRET}"] * 2]


async def test_a_function_is_called_for_every_call(fake: FakeService, connected: Callable[..., Any]) -> None:
    fake.replies["GetStatus"] += [RUNNING, RUNNING]
    client = connected(token=Tokens())
    await client.status()
    await client.status()
    assert shown(fake) == ["Bearer t1", "Bearer t2"]


async def test_a_file_is_read_again_when_it_changes(
    fake: FakeService, connected: Callable[..., Any], tmp_path: Path
) -> None:
    path, beside = tmp_path / "token", tmp_path / "beside"
    path.write_text("one")
    client = connected(token_file=path)

    def write(text: str) -> None:
        path.write_text(text)

    def swap() -> None:
        beside.write_text("three\n")
        beside.replace(path)

    def link() -> None:
        path.unlink()
        beside.write_text("four")
        path.symlink_to(beside)

    steps: list[tuple[Callable[[], object], str]] = [
        (lambda: None, "one"),
        (lambda: write("two"), "two"),
        # Half of a change is none: the server decides for how long the last one is good.
        (lambda: write(""), "two"),
        (lambda: write("a b"), "two"),
        (path.unlink, "two"),
        (swap, "three"),
        (link, "four"),
    ]
    for change, expected in steps:
        change()
        fake.replies["GetStatus"].append(RUNNING)
        await client.status()
        assert shown(fake)[-1] == f"Bearer {expected}"


# refused


@pytest.mark.parametrize("refusal", [EXPIRED, INVALID, Refuse(grpc.StatusCode.UNAUTHENTICATED)])
async def test_a_refused_call_is_made_once_more_with_a_fresh_token(
    fake: FakeService, connected: Callable[..., Any], refusal: Refuse
) -> None:
    fake.replies["GetStatus"] += [refusal, RUNNING]
    await connected(token=Tokens()).status()
    assert shown(fake) == ["Bearer t1", "Bearer t2"]


async def test_a_call_refused_twice_fails(fake: FakeService, connected: Callable[..., Any]) -> None:
    fake.replies["GetStatus"] += [EXPIRED, INVALID]
    with pytest.raises(AccessDenied) as raised:
        await connected(token=Tokens()).status()
    assert raised.value.reason == "CREDENTIAL_INVALID"
    assert shown(fake) == ["Bearer t1", "Bearer t2"]


@pytest.mark.parametrize(
    "make", [dict, lambda: {"token": SECRET}, lambda: {"api_key": SECRET}, lambda: {"token": Tokens("same", "same")}]
)
async def test_the_same_credential_is_not_tried_twice(
    fake: FakeService, connected: Callable[..., Any], make: Callable[[], dict[str, Any]]
) -> None:
    fake.replies["GetStatus"].append(EXPIRED)
    with pytest.raises(AccessDenied):
        await connected(**make()).status()
    assert len(fake.requests["GetStatus"]) == 1


async def test_what_is_no_matter_of_who_asks_is_not_tried_again(
    fake: FakeService, connected: Callable[..., Any]
) -> None:
    fake.replies["GetStatus"].append(Refuse(grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING"))
    with pytest.raises(AccessDenied) as raised:
        await connected(token=Tokens()).status()
    assert (raised.value.reason, len(fake.requests["GetStatus"])) == ("ROLE_MISSING", 1)


# streams


async def test_a_stream_goes_on_with_a_fresh_token_at_its_next_row(
    fake: FakeService, connected: Callable[..., Any]
) -> None:
    head = [start(), schema(), *page(PAGES[0], 0)]
    half = page(PAGES[1], 10, chunks=3)[:2]
    fake.streams["StreamResults"] += [
        [*head, EXPIRED],
        # A page that has begun comes again as a whole.
        [start(10), schema(), *half, EXPIRED],
        [start(10), schema(), *page(PAGES[1], 10), EXPIRED],
        whole(PAGES, from_row=15),
    ]
    table = await connected(token=Tokens(), give_up_after=0).table()
    assert table.equals(pa.Table.from_batches(PAGES))
    assert [each.start_row for each in fake.requests["StreamResults"]] == [0, 10, 10, 15]
    assert shown(fake) == ["Bearer t1", "Bearer t2", "Bearer t3", "Bearer t4"]


async def test_a_planned_end_fetches_a_token_as_well(fake: FakeService, connected: Callable[..., Any]) -> None:
    head = [start(), schema(), *page(PAGES[0], 0), rotate(10)]
    fake.streams["StreamResults"] += [head, whole(PAGES, from_row=10)]
    assert (await connected(token=Tokens()).table()).num_rows == 18
    assert shown(fake) == ["Bearer t1", "Bearer t2"]


async def test_a_stream_refused_twice_without_progress_fails(fake: FakeService, connected: Callable[..., Any]) -> None:
    fake.streams["StreamResults"] += [[start(), schema(), *page(PAGES[0], 0), EXPIRED], [INVALID]]
    with pytest.raises(AccessDenied) as raised:
        await connected(token=Tokens()).table()
    assert raised.value.reason == "CREDENTIAL_INVALID"
    assert len(fake.requests["StreamResults"]) == 2


async def test_a_stream_whose_token_stays_as_it_is_fails_at_once(
    fake: FakeService, connected: Callable[..., Any]
) -> None:
    fake.streams["StreamResults"].append([start(), schema(), *page(PAGES[0], 0), EXPIRED])
    with pytest.raises(AccessDenied):
        await connected(token=SECRET).table()
    assert len(fake.requests["StreamResults"]) == 1


async def test_a_watch_goes_on_as_well(fake: FakeService, connected: Callable[..., Any]) -> None:
    def state(name: str, version: int) -> Any:
        return query_service_pb2.WatchStatusResponse(status=status(name, version))

    fake.streams["WatchStatus"] += [[state("RUNNING", 1), EXPIRED], [state("COMPLETED", 2)]]
    assert await connected(token=Tokens()).states() == ["RUNNING", "COMPLETED"]
    assert shown(fake) == ["Bearer t1", "Bearer t2"]


async def test_a_query_that_nobody_reads_yet_is_kept_with_fresh_tokens(fake: FakeService, fake_target: str) -> None:
    """Its client waits for a change meanwhile, by calls of their own."""
    fake.replies["Submit"].append(query_service_pb2.SubmitResponse(status=status("RUNNING", 1)))
    kept = Hold()
    fake.replies["GetStatus"] += [EXPIRED, RUNNING, kept, RUNNING]
    with Client(fake_target, token=Tokens()) as client:
        result = client.query("SELECT 1")
        assert kept.reached.wait(30)
        kept.open.set()
        fake.replies["Cancel"].append(query_service_pb2.CancelResponse(status=status("CANCELLED", 3)))
        result.close()
    assert shown(fake)[:4] == ["Bearer t1", "Bearer t2", "Bearer t3", "Bearer t4"]


# functions that fail


async def test_a_function_that_fails_is_named_without_what_it_says(
    fake: FakeService, connected: Callable[..., Any]
) -> None:
    for failing in (ValueError(SECRET), ConnectionError(SECRET)):
        with pytest.raises(ServiceUnavailable) as raised:
            await connected(token=Tokens(failing)).status()
        assert str(raised.value) == f"the token function raised {type(failing).__name__}"
        assert raised.value.retryable
        assert raised.value.__cause__ is not None
        assert raised.value.__cause__.__cause__ is failing
    for returned, problem in (
        ("", "is empty"),
        ("a\nb", "printable ASCII"),
        ("é", "printable ASCII"),
        ("x" * 20_000, "16,384"),
    ):
        with pytest.raises(ServiceUnavailable, match=problem):
            await connected(token=Tokens(returned) if returned else (lambda: "")).status()
    assert not fake.metadata


async def test_a_reader_outlasts_a_function_that_fails_for_a_while(
    fake: FakeService, connected: Callable[..., Any]
) -> None:
    fake.streams["StreamResults"] += [[start(), schema(), *page(PAGES[0], 0), EXPIRED], whole(PAGES, from_row=10)]
    tokens = Tokens("a", ConnectionError("down"), ConnectionError("down"), "b")
    assert (await connected(token=tokens).table()).num_rows == 18
    assert shown(fake) == ["Bearer a", "Bearer b"]


async def test_a_coroutine_function_is_for_asyncio(fake: FakeService, fake_target: str) -> None:
    async def token() -> str:
        return "x"

    with Client(fake_target, token=token) as client, pytest.raises(TypeError, match="only for AsyncClient"):
        client.engines()


async def test_a_plain_function_serves_asyncio_as_well(fake: FakeService, fake_target: str) -> None:
    fake.replies["GetStatus"].append(RUNNING)
    async with AsyncClient(fake_target, token=lambda: "plain") as client:
        await client.attach(ID).status()
    assert shown(fake) == ["Bearer plain"]


# who hears it


@pytest.mark.parametrize(
    "target",
    ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/a", "dns:///localhost:1", "ipv4:127.0.0.1:1", "ipv6:[::1]:1"],
)
async def test_targets_on_this_machine(target: str) -> None:
    assert stays_here(target)


@pytest.mark.parametrize(
    "target",
    [
        "db:1",
        "127.evil.example:1",
        "localhost.evil.example:1",
        "dns:///db:1",
        "dns://8.8.8.8/localhost:1",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "xds:///localhost",
    ],
)
@pytest.mark.parametrize(
    "options",
    [
        {"token": SECRET},
        {"token": lambda: SECRET},
        {"api_key": SECRET},
        {"token_file": "FILE"},
        {"metadata": (("Authorization".lower(), f"Bearer {SECRET}"),)},
    ],
)
async def test_no_secret_leaves_this_machine_in_plain_text(
    tmp_path: Path, target: str, options: dict[str, Any]
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    options = {key: tmp_path / "secret" if value == "FILE" else value for key, value in options.items()}
    with pytest.raises(ValueError, match="would get the token or key in plain text") as raised:
        Client(target, **options)
    assert SECRET not in str(raised.value)
    for accepted in ({"allow_insecure_credentials": True}, {"tls": True}):
        Client(target, **options, **accepted).close()


# what cannot be used


def mistakes(tmp_path: Path) -> Iterator[tuple[dict[str, Any], type[Exception], str]]:
    empty, secret = tmp_path / "empty", tmp_path / "secret"
    empty.write_text("")
    secret.write_text(SECRET)
    yield {"token": SECRET, "api_key": SECRET}, ValueError, "give one of token, api_key"
    yield {"token": SECRET, "token_file": secret}, ValueError, "give one of token, token_file"
    yield {"token": ""}, ValueError, "token is empty"
    for text in (
        f"{SECRET} {SECRET}",
        f" {SECRET}",
        f"{SECRET} ",
        f"{SECRET}\n ",
        f"\n{SECRET}",
        f"{SECRET}\n{SECRET}",
    ):
        yield {"token": text}, ValueError, "token holds a space, a line break or"
        yield {"api_key": text}, ValueError, "api_key holds a space, a line break or"
        beside = tmp_path / f"beside{hash(text)}"
        beside.write_text(text)
        yield {"token_file": beside}, ValueError, "it holds a space, a line break or"
        yield {"api_key_file": beside}, ValueError, "it holds a space, a line break or"
        yield {"metadata": (("authorization", f"{text}\n"),)}, ValueError, "value of 'authorization' holds a line break"
    yield {"token": SECRET.encode()}, TypeError, "a text or a function that returns one, not bytes"
    yield {"api_key": lambda: SECRET}, TypeError, "api_key takes a text, not function"
    yield {"token_file": tmp_path / "nothing"}, ValueError, "token_file: cannot read"
    yield {"api_key_file": empty}, ValueError, "must hold one line of printable ASCII"
    yield {"token": SECRET, "metadata": (("authorization", "x"),)}, ValueError, "metadata has an authorization, too"
    yield {"cert_file": secret}, ValueError, "belong together"
    yield {"key_file": secret}, ValueError, "belong together"
    yield {"tls": False, "ca_file": secret}, ValueError, "have no effect with tls=False"
    yield {"ca_file": secret}, ValueError, "holds no certificate in PEM form"
    yield {"ca_file": tmp_path / "nothing"}, ValueError, "ca_file: cannot read"
    yield {"tls": True, "credentials": grpc.ssl_channel_credentials()}, ValueError, "credentials has no effect beside"


async def test_a_mistake_is_named_without_the_secret(tmp_path: Path) -> None:
    for options, kind, words in mistakes(tmp_path):
        with pytest.raises(kind, match=words) as raised:
            Client("127.0.0.1:1", **options)
        assert SECRET not in str(raised.value)


async def test_nothing_shows_a_secret(fake: FakeService, connected: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    file = {"token_file": tmp_path / "secret"}
    for options in ({"token": SECRET}, {"api_key": SECRET}, {"token": Tokens(*[SECRET] * 9)}, file):
        user = connected(**options)
        fake.replies["GetStatus"].append(INVALID)
        with pytest.raises(AccessDenied) as raised:
            await user.status()
        connection = user.client.connection
        texts = [repr(user.client), repr(connection), repr(raised.value), str(raised.value.__cause__)]
        texts += [repr(vars(raised.value)), repr(connection.authorization)]
        assert SECRET not in "".join(texts)


async def test_a_token_costs_a_call_next_to_nothing(tmp_path: Path) -> None:
    """A file is looked at for each call, and not read."""
    path = tmp_path / "token"
    path.write_text(SECRET)
    with Client("127.0.0.1:1", token_file=path) as client:
        source = client.connection.authorization
        assert source is not None
        path.chmod(0o600)
        values = {id(source.current()) for _ in range(100)}
    assert len(values) == 1
