"""TLS of a server: who gets in, what a new certificate changes, and what it does not."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
import trustme
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from queryengine.app.service import Service
from queryengine.domain.reloads import Trigger
from queryengine.settings import Settings, SettingsError
from tests.scraping import scrape
from tests.settings_file import ENGINES, with_file, write_settings
from tests.support import COMPLETED, LOOPBACK, WAIT, Api, Gate, until
from tests.tls_files import Files, MountedFiles, by_name, chain_of, issued, past, trusting

pytestmark = pytest.mark.asyncio(loop_scope="session")

AUTHORITY = trustme.CA()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "tls", AUTHORITY)


@asynccontextmanager
async def calling(address: str, credentials: grpc.ChannelCredentials | None) -> AsyncIterator[Api]:
    """A tenant on a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    target = by_name(address)
    channel = (
        grpc.aio.insecure_channel(target, options=options)
        if credentials is None
        else grpc.aio.secure_channel(target, credentials, options=options)
    )
    async with channel:
        yield Api(channel, "tenant")


async def answered(address: str, credentials: grpc.ChannelCredentials | None) -> bool:
    """Whether a server takes a connection and answers on it."""
    async with calling(address, credentials) as api:
        try:
            return bool((await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                return False
            raise


async def serial_shown(address: str) -> int:
    """The number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cadata=AUTHORITY.cert_pem.bytes().decode())
    context.set_alpn_protocols(["h2"])
    host, _, port = by_name(address).rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(shown).serial_number


def serial(certificate: trustme.LeafCert) -> int:
    return x509.load_pem_x509_certificate(chain_of(certificate)).serial_number


async def reload(service: Service) -> tuple[str, ...]:
    """Have the files read again; returns why they were refused."""
    return (await service.reload(Trigger.FILE)).last.mistakes


# who gets in


async def test_only_encrypted_calls_of_who_trusts_the_server_get_in(tmp_path: Path, files: Files) -> None:
    async with with_file(tmp_path, tls=files.settings()) as service:
        assert await answered(service.address, trusting(AUTHORITY))
        assert not await answered(service.address, trusting(trustme.CA()))
        assert not await answered(service.address, None)


async def test_a_required_certificate_is_one_of_the_right_authority_that_holds(tmp_path: Path, files: Files) -> None:
    other = trustme.CA()
    both = trusting(AUTHORITY, issued(AUTHORITY, "client"))
    async with with_file(tmp_path, tls=files.settings(required=True)) as service:
        assert await answered(service.address, both)
        assert not await answered(service.address, trusting(AUTHORITY))
        assert not await answered(service.address, trusting(AUTHORITY, issued(other, "client")))
        assert not await answered(service.address, trusting(AUTHORITY, issued(AUTHORITY, "client", **past())))


async def test_a_second_address_asks_for_certificates_beside_one_that_does_not(tmp_path: Path, files: Files) -> None:
    async with with_file(tmp_path, tls=files.settings(mutual="127.0.0.1:0")) as service:
        client = trusting(AUTHORITY, issued(AUTHORITY, "client"))
        assert service.mutual_address not in ("", service.address)
        assert await answered(service.address, trusting(AUTHORITY))
        assert await answered(service.address, client)
        assert await answered(service.mutual_address, client)
        assert not await answered(service.mutual_address, trusting(AUTHORITY))


@pytest.mark.parametrize("encrypted", [False, True])
async def test_the_port_for_health_has_tls_where_that_is_set(tmp_path: Path, files: Files, encrypted: bool) -> None:
    async with with_file(tmp_path, tls=files.settings(required=True, health=encrypted)) as service:
        target = by_name(service.admin_address)
        secure = grpc.aio.secure_channel(target, trusting(AUTHORITY))
        async with secure if encrypted else grpc.aio.insecure_channel(target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=30)
            assert reply.status == health_pb2.HealthCheckResponse.SERVING


async def test_files_that_cannot_be_used_end_the_start_in_one_line(tmp_path: Path, files: Files) -> None:
    files.key.write_bytes(b"nothing")
    settings = Settings(
        server=dict(LOOPBACK), engines=ENGINES, state={"directory": tmp_path / "state"}, tls=files.settings()
    )
    with pytest.raises(SettingsError) as raised:
        await Service(settings).start()
    assert str(raised.value) == f"settings: tls.key: {files.key} does not hold a whole private key in PEM form"


# a new certificate


async def test_a_new_certificate_is_shown_to_new_connections_and_drops_no_call(tmp_path: Path, files: Files) -> None:
    gate = Gate(tmp_path / "gate")
    async with (
        with_file(tmp_path, tls=files.settings()) as service,
        calling(service.address, trusting(AUTHORITY)) as api,
    ):
        query = (await api.script(f"rows 5; {gate.script}; rows 5")).status.query_id
        await api.has_rows(query)
        stream = api.stream(query)
        await stream.to("page")
        waiting = asyncio.ensure_future(api.script(f"{gate.script}; rows 1", wait_timeout=WAIT))
        await until(lambda: len(service.parts.shared.registry.active()) == 2)
        new = issued(AUTHORITY)
        files.rename(new)
        assert not await reload(service)
        assert await serial_shown(service.address) == serial(new)
        # The connection from before goes on, for calls that are open and for new ones.
        assert (await api.status(query)).query_id == query
        gate.open()
        assert (await waiting).status.state == COMPLETED
        events = await stream.all()
        assert events[-1].end.total_rows == 10
        assert await answered(service.address, trusting(AUTHORITY))


async def test_files_are_looked_at_again_and_again(tmp_path: Path, files: Files) -> None:
    watched = {**LOOPBACK, "watch_seconds": 0.01}
    async with with_file(tmp_path, tls=files.settings(), server=watched) as service:
        for _ in range(3):
            new = issued(AUTHORITY)
            files.write(new)

            async def is_shown(wanted: int = serial(new)) -> bool:
                return await serial_shown(service.address) == wanted

            await until(is_shown)


async def test_a_folder_swapped_as_kubernetes_does_is_seen(tmp_path: Path) -> None:
    files = MountedFiles(tmp_path / "mounted", AUTHORITY)
    watched = {**LOOPBACK, "watch_seconds": 0.01}
    async with with_file(tmp_path, tls=files.settings(), server=watched) as service:
        for _ in range(2):
            new = issued(AUTHORITY)
            files.swap(new)

            async def is_shown(wanted: int = serial(new)) -> bool:
                return await serial_shown(service.address) == wanted

            await until(is_shown)
        assert await answered(service.address, trusting(AUTHORITY))


async def test_bad_files_keep_the_certificate_and_are_reported(
    tmp_path: Path, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = issued(AUTHORITY), issued(AUTHORITY)
    files.write(first)
    # As a program writes two files in place: half of one, one of two. And what comes of mistakes.
    steps: list[tuple[Callable[[], object], str]] = [
        (lambda: files.certificate.write_bytes(chain_of(second)[:300]), "does not hold a whole certificate"),
        (lambda: files.certificate.write_bytes(chain_of(second)), "is not the key of tls.certificate"),
        (files.key.unlink, "cannot be read: No such file"),
        (lambda: files.write(issued(AUTHORITY, **past())), "expired on"),
    ]
    async with with_file(tmp_path, tls=files.settings()) as service:
        with caplog.at_level(logging.ERROR):
            for change, words in steps:
                change()
                (mistake,) = await reload(service)
                assert mistake.startswith(f"{tmp_path / 'settings.yaml'}:")
                assert words in mistake
                assert await serial_shown(service.address) == serial(first)
        said = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
        assert [line.startswith("the settings stay as they are: ") for line in said] == [True] * len(steps)
        assert "PRIVATE" not in "".join(said)
        assert await answered(service.address, trusting(AUTHORITY))
        files.write(second)
        assert not await reload(service)
        assert await serial_shown(service.address) == serial(second)
        found = await scrape(service)
        assert found("reloads_total", outcome="refused") == len(steps)
        assert found("reloads_total", outcome="applied") == 1
        ends = x509.load_pem_x509_certificate(chain_of(second)).not_valid_after_utc.timestamp()
        assert found("certificate_not_after_seconds", certificate="server") == ends


async def test_a_new_authority_of_clients_holds_for_new_connections(tmp_path: Path, files: Files) -> None:
    other = trustme.CA()
    old, new = (trusting(AUTHORITY, issued(authority, "client")) for authority in (AUTHORITY, other))
    async with with_file(tmp_path, tls=files.settings(required=True)) as service, calling(service.address, old) as api:
        assert await answered(service.address, old)
        assert not await answered(service.address, new)
        files.client_ca.write_bytes(other.cert_pem.bytes())
        assert not await reload(service)
        assert not await answered(service.address, old)
        assert await answered(service.address, new)
        del api


# with the settings


async def test_other_files_of_new_settings_are_taken_over(tmp_path: Path, files: Files) -> None:
    other = Files(tmp_path / "other", AUTHORITY)
    new = issued(AUTHORITY)
    other.write(new)
    async with with_file(tmp_path, tls=files.settings()) as service:
        write_settings(tmp_path, tls=other.settings())
        assert not await reload(service)
        assert service.settings.tls.key == other.key
        assert await serial_shown(service.address) == serial(new)
        newest = issued(AUTHORITY)
        other.write(newest)
        assert not await reload(service)
        assert await serial_shown(service.address) == serial(newest)


async def test_settings_with_a_bad_certificate_are_refused_as_a_whole(tmp_path: Path, files: Files) -> None:
    async with with_file(tmp_path, tls=files.settings()) as service:
        before = service.settings
        bad = {**files.settings(), "certificate": str(tmp_path / "nothing")}
        write_settings(tmp_path, tls=bad, limits={"sql_bytes": 77})
        assert await reload(service)
        assert service.settings == before


async def test_what_the_ports_ask_for_waits_for_a_restart(tmp_path: Path, files: Files) -> None:
    async with with_file(tmp_path, tls=files.settings(required=True)) as service:
        write_settings(tmp_path, tls=files.settings())
        assert not await reload(service)
        reported = service.parts.reloading.status.needs_restart
        assert reported == ("tls.client_ca", "tls.client_certificates")
        assert not await answered(service.address, trusting(AUTHORITY))
