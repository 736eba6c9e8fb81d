"""Client certificates as credentials of a real server, as both clients and the command show them."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from queryengine.app.service import Service
from queryengine.cli.exits import ExitCode
from queryengine.cli.main import app
from queryengine.client import AccessDenied, AsyncClient, Client, ServiceUnavailable
from queryengine.domain.reloads import Trigger
from queryengine.settings import Settings, SettingsError, Source, load
from tests.settings_file import with_file, write_settings
from tests.support import LOOPBACK
from tests.tls_files import Files, by_name, issued, key_of, now

pytestmark = pytest.mark.asyncio(loop_scope="session")

AUTHORITY = trustme.CA()
RULES = [
    {"uri": "spiffe://example.org/ns/ops/sa/root", "tenant": "ops", "roles": ["admin"]},
    {"uri": "spiffe://example.org/ns/{tenant}/sa/{subject}"},
    {"common_name": "{subject}.{tenant}", "roles": ["read"]},
]
MTLS = {"authenticators": [{"type": "mtls", "rules": RULES}]}


def certified(folder: Path, name: str, *uris: str, common_name: str = "", by: trustme.CA = AUTHORITY) -> dict[str, str]:
    """Files of a client's certificate with these names, as options of a client; with the certificate of an authority
    that is not the root.
    """
    leaf = issued(AUTHORITY, "unused.example")
    key = serialization.load_pem_private_key(key_of(leaf), None)
    signer = serialization.load_pem_private_key(by.private_key_pem.bytes(), None)
    issuer = x509.load_pem_x509_certificate(by.cert_pem.bytes())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
    builder = x509.CertificateBuilder(issuer.subject, subject, key.public_key(), 7, now(), issuer.not_valid_after_utc)  # type: ignore[arg-type]
    if uris:
        others = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(others, critical=False)
    made = builder.sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    certificate, secret = folder / f"{name}.crt", folder / f"{name}.key"
    between = b"" if by is AUTHORITY else by.cert_pem.bytes()
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM) + between)
    secret.write_bytes(key_of(leaf))
    return {"cert_file": str(certificate), "key_file": str(secret)}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "tls", AUTHORITY)


def meshed(folder: Path, tls: dict[str, Any]) -> AbstractAsyncContextManager[Service]:
    return with_file(folder, tls=tls, auth=MTLS)


async def test_a_certificate_says_whose_query_it_is(tmp_path: Path, files: Files) -> None:
    trust = {"ca_file": str(files.client_ca)}
    growth, other = (
        certified(tmp_path, name, f"spiffe://example.org/ns/{name}/sa/report") for name in ("growth", "other")
    )
    async with meshed(tmp_path, files.settings(required=True)) as service:
        target = by_name(service.address)
        async with AsyncClient(target, **trust, **growth) as mine, AsyncClient(target, **trust, **other) as theirs:
            handle = await mine.submit("rows 3", engine="scripted")
            table = await handle.result().to_arrow()
            assert table.num_rows == 3
            (listed,) = (await mine.list_queries(subject="report")).queries
            assert listed.query_id == handle.query_id
            assert not (await theirs.list_queries()).queries


async def test_who_has_no_name_that_counts_is_refused(tmp_path: Path, files: Files) -> None:
    trust = {"ca_file": str(files.client_ca)}
    uri = "spiffe://example.org/ns/growth/sa/report"
    table = {
        "no names": certified(tmp_path, "none"),
        "another domain": certified(tmp_path, "domain", "spiffe://evil.example/ns/growth/sa/report"),
        "two URIs": certified(tmp_path, "two", uri, "spiffe://example.org/ns/other/sa/x"),
    }
    async with meshed(tmp_path, files.settings(required=True)) as service:
        target = by_name(service.address)
        for name, shown in table.items():
            async with AsyncClient(target, **trust, **shown) as client:
                with pytest.raises(AccessDenied) as raised:
                    await client.engines()
                assert raised.value.reason == "CREDENTIAL_INVALID", name
        good = certified(tmp_path, "good", uri)
        async with AsyncClient(target, **trust, **good, tenant="other") as client:
            with pytest.raises(AccessDenied) as raised:
                await client.engines()
            assert raised.value.reason == "TENANT_MISMATCH"
        async with AsyncClient(target, **trust, give_up_after=0, timeout=10) as client:
            with pytest.raises(ServiceUnavailable):
                await client.engines()


async def test_roles_are_those_of_the_rule(tmp_path: Path, files: Files) -> None:
    reader = certified(tmp_path, "reader", common_name="ann.growth")
    async with (
        meshed(tmp_path, files.settings(required=True)) as service,
        AsyncClient(by_name(service.address), ca_file=str(files.client_ca), **reader) as client,
    ):
        assert await client.engines()
        with pytest.raises(AccessDenied) as raised:
            await client.submit("rows 1", engine="scripted")
        assert raised.value.reason == "ROLE_MISSING"


async def test_the_first_certificate_of_a_chain_is_the_client(tmp_path: Path, files: Files) -> None:
    between = AUTHORITY.create_child_ca()
    shown = certified(tmp_path, "deep", "spiffe://example.org/ns/growth/sa/report", by=between)
    async with (
        meshed(tmp_path, files.settings(required=True)) as service,
        AsyncClient(by_name(service.address), ca_file=str(files.client_ca), **shown) as client,
    ):
        handle = await client.submit("rows 1", engine="scripted")
        (listed,) = (await client.list_queries(subject="report")).queries
        assert listed.query_id == handle.query_id


async def test_without_a_certificate_the_first_address_refuses_the_call(tmp_path: Path, files: Files) -> None:
    shown = certified(tmp_path, "one", "spiffe://example.org/ns/growth/sa/report")
    trust = {"ca_file": str(files.client_ca)}
    async with meshed(tmp_path, files.settings(mutual="127.0.0.1:0")) as service:
        async with AsyncClient(by_name(service.mutual_address), **trust, **shown) as client:
            assert await client.engines()
        async with AsyncClient(by_name(service.address), **trust, **shown) as client:
            with pytest.raises(AccessDenied) as raised:
                await client.engines()
            assert raised.value.reason == "CREDENTIAL_MISSING"


async def test_the_blocking_client_and_the_command_show_it_too(tmp_path: Path, files: Files) -> None:
    shown = certified(tmp_path, "one", "spiffe://example.org/ns/growth/sa/report")
    async with meshed(tmp_path, files.settings(required=True)) as service:
        target = by_name(service.address)

        def blocking() -> int:
            with Client(target, ca_file=files.client_ca, **shown) as client:  # type: ignore[arg-type]
                return client.query("rows 3", engine="scripted").to_arrow().num_rows

        assert await asyncio.to_thread(blocking) == 3
        words = ["engines", "list", "--server", target, "--ca", str(files.client_ca)]
        words += ["--cert", shown["cert_file"], "--key", shown["key_file"]]
        done = await asyncio.to_thread(CliRunner().invoke, app, words)
        assert done.exit_code == ExitCode.OK, done.output
        assert "scripted" in done.output


async def test_a_server_with_certificates_may_be_reached_from_elsewhere(tmp_path: Path, files: Files) -> None:
    """And a reload that would leave callers unverified there is refused."""
    server = {**LOOPBACK, "listen": "0.0.0.0:0", "watch_seconds": 0}
    path = write_settings(tmp_path, server=server, tls=files.settings(required=True), auth=MTLS)
    service = Service(load(str(path)), source=Source(path))
    await service.start()
    try:
        shown = certified(tmp_path, "one", "spiffe://example.org/ns/growth/sa/report")
        write_settings(tmp_path, server=server, tls=files.settings(required=True))
        (mistake,) = (await service.reload(Trigger.FILE)).last.mistakes
        assert "other hosts can reach 0.0.0.0:0" in mistake
        async with AsyncClient(by_name(service.address), ca_file=str(files.client_ca), **shown) as client:
            assert await client.engines()
    finally:
        await service.stop(0)


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ([], "must not be empty"),
        ([{}], "expected either uri or common_name"),
        ([{"uri": "a{tenant}", "common_name": "b{tenant}"}], "expected either uri or common_name"),
        ([{"uri": "spiffe://a/b"}], "must be set, or the pattern have {tenant}"),
        ([{"uri": "spiffe://a/{tenant}", "tenant": "x"}], "the pattern has {tenant} already"),
        ([{"uri": "spiffe://a/{tenant}/{subject}", "subject": "x"}], "the pattern has {subject} already"),
        ([{"uri": "spiffe://a/{tenant"}], "a brace must be one of a placeholder"),
        ([{"uri": "spiffe://a/{tenant}", "roles": ["king"]}], "roles"),
        ([{"uri": "spiffe://a/{tenant}", "role": "read"}], "unknown key; did you mean roles?"),
    ],
)
async def test_a_rule_that_says_nothing_certain_is_refused(
    tmp_path: Path, files: Files, rules: list[dict[str, Any]], problem: str
) -> None:
    auth = {"authenticators": [{"type": "mtls", "rules": rules}]}
    path = write_settings(tmp_path, tls=files.settings(required=True), auth=auth)
    with pytest.raises(SettingsError) as raised:
        load(str(path))
    assert problem in str(raised.value)
    assert "auth.authenticators" in str(raised.value)


async def test_certificates_must_be_asked_for(files: Files) -> None:
    for tls in ({}, files.settings()):
        with pytest.raises(ValueError, match=r"`mtls` needs tls\.client_certificates: required"):
            Settings(auth=MTLS, tls=tls)
    with pytest.raises(ValueError, match="expected `mtls` once"):
        Settings(auth={"authenticators": MTLS["authenticators"] * 2}, tls=files.settings(required=True))
