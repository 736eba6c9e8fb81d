"""Certificates of clients as credentials: whose they are, and which are nobody's."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.identity import Role
from queryengine.policy.identity import Authentication, Presented
from queryengine.policy.identity.mtls import CertificateRule, ClientCertificates
from queryengine.policy.identity.name_pattern import NamePattern
from tests.tls_files import now
from tests.unit.core_values import HandClock

SPIFFE = NamePattern("spiffe://example.org/ns/{tenant}/sa/{subject}")
READER, WRITER = frozenset({Role.READ}), frozenset({Role.READ, Role.WRITE})
RULES = (
    CertificateRule(uri=NamePattern("spiffe://example.org/ns/ops/sa/root"), tenant="ops", roles=WRITER),
    CertificateRule(uri=NamePattern("spiffe://example.org/{region}/{tenant}"), roles=READER),
    CertificateRule(uri=SPIFFE, roles=READER),
    CertificateRule(common_name=NamePattern("{subject}.{tenant}"), roles=READER),
)
GOOD = "spiffe://example.org/ns/growth/sa/report"
KEY = ec.generate_private_key(ec.SECP256R1())
SUBJECT_ALTERNATIVE_NAME = ExtensionOID.SUBJECT_ALTERNATIVE_NAME
DAY = dt.timedelta(days=1)


def certificate(
    *uris: str,
    names: Sequence[str] = (),
    dns: Sequence[str] = (),
    until: dt.datetime | None = None,
    others: Sequence[bytes] = (),
) -> bytes:
    """`others` are further names, as they are encoded, in place of all but `names`."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    alternatives: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
    alternatives += [x509.DNSName(name) for name in dns]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([]))
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(now() - 9 * DAY)
        .not_valid_after(until or now() + DAY)
    )
    if others:
        encoded = b"".join(others)
        extension = x509.UnrecognizedExtension(SUBJECT_ALTERNATIVE_NAME, bytes([0x30, len(encoded)]) + encoded)
        builder = builder.add_extension(extension, critical=False)
    elif alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(int(now().timestamp() * 1e6))


@pytest.fixture
def authenticator(clock: HandClock) -> ClientCertificates:
    return ClientCertificates(RULES, clock)


def presented(pem: bytes | None, **metadata: str) -> Presented:
    return Presented(tuple(metadata.items()), "ipv4:127.0.0.1:1", (pem,) if pem is not None else ())


async def test_the_first_rule_that_matches_decides(authenticator: ClientCertificates) -> None:
    table: dict[str, tuple[bytes, Any]] = {
        "by URI": (certificate(GOOD), ("growth", "report", READER, {})),
        "a fixed one": (
            certificate("spiffe://example.org/ns/ops/sa/root"),
            ("ops", "spiffe://example.org/ns/ops/sa/root", WRITER, {}),
        ),
        "with a claim": (
            certificate("spiffe://example.org/eu/growth"),
            ("growth", "spiffe://example.org/eu/growth", READER, {"region": "eu"}),
        ),
        "by common name": (certificate(names=["ann.growth"]), ("growth", "ann", READER, {})),
        "URI before common name": (certificate(GOOD, names=["ann.other"]), ("growth", "report", READER, {})),
        "beside other names": (certificate(GOOD, dns=["a.example", "b.example"]), ("growth", "report", READER, {})),
    }
    for name, (pem, expected) in table.items():
        found = await authenticator.authenticate(presented(pem))
        assert found is not None, name
        assert (found.tenant, found.subject, found.roles, dict(found.claims)) == expected, name
        assert found.authenticator == "mtls"
        assert len(found.credential_id) == 16


async def test_a_certificate_that_no_rule_accepts_is_refused(authenticator: ClientCertificates) -> None:
    table: dict[str, tuple[bytes, str]] = {
        "no name": (certificate(), "without URI and common name"),
        "another domain": (
            certificate("spiffe://evil.example/ns/growth/sa/report"),
            "accepts the client certificate of URI",
        ),
        "another common name": (certificate(names=["ann"]), "common name 'ann'"),
        # The text of a URI in a place for another kind of name.
        "a URI as common name": (certificate(names=[GOOD]), "accepts the client certificate"),
        "a URI as DNS name": (certificate(dns=[GOOD.replace(":", "").replace("/", ".")]), "without URI"),
        "several URIs": (certificate(GOOD, "spiffe://example.org/ns/other/sa/x"), "has 2 URIs"),
        "the same URI twice": (certificate(GOOD, GOOD), "has 2 URIs"),
        "several common names": (certificate(names=["ann.growth", "ann.other"]), "has 2 common names"),
        "a subject too long": (certificate(f"spiffe://example.org/{'r' * 110}/growth"), "cannot be a subject"),
        "not a certificate": (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
    }
    for name, (pem, words) in table.items():
        with pytest.raises(QueryEngineError) as refused:
            await authenticator.authenticate(presented(pem))
        assert refused.value.failure.reason is Reason.CREDENTIAL_INVALID, name
        assert words in refused.value.failure.message, name
        assert len(refused.value.failure.message) < 400, name


async def test_without_a_certificate_the_next_authenticator_is_asked(authenticator: ClientCertificates) -> None:
    assert await authenticator.authenticate(presented(None, authorization="Bearer x")) is None


async def test_a_certificate_ends_on_a_connection_that_goes_on(
    authenticator: ClientCertificates, clock: HandClock
) -> None:
    pem = certificate(GOOD, until=now() + DAY)
    authentication = Authentication([authenticator], clock)
    identified = await authentication.identify(presented(pem))
    identified.still_valid()
    clock.pass_seconds(2 * 86_400)
    with pytest.raises(QueryEngineError) as refused:
        identified.still_valid()
    assert refused.value.failure.reason is Reason.TOKEN_EXPIRED
    with pytest.raises(QueryEngineError) as refused:
        await authentication.identify(presented(pem))
    assert refused.value.failure.reason is Reason.TOKEN_EXPIRED


@pytest.mark.parametrize("chain_days", [[0.5], [5, 0.5], [-1, 0.5, 3]])
async def test_it_ends_with_those_that_issued_it(
    authenticator: ClientCertificates, clock: HandClock, chain_days: list[float]
) -> None:
    """What had ended before was not needed to verify it."""
    chain = [certificate(GOOD), *(certificate(until=now() + days * DAY) for days in chain_days)]
    both = Presented((), "ipv4:127.0.0.1:1", chain)
    identified = await Authentication([authenticator], clock).identify(both)
    identified.still_valid()
    clock.pass_seconds(int(0.6 * 86_400))
    with pytest.raises(QueryEngineError) as refused:
        identified.still_valid()
    assert refused.value.failure.reason is Reason.TOKEN_EXPIRED


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(b"\xa3\x02\x30\x00", id="address of X.400"),
        pytest.param(b"\xa5\x05\xa1\x03\x0c\x01x", id="party of EDI"),
        pytest.param(b"\x87\x03\x01\x02\x03", id="address of three bytes"),
        pytest.param(b"\x86\x01\xff", id="URI that is not ASCII"),
        pytest.param(b"\x86\x7f", id="cut off"),
    ],
)
async def test_a_certificate_that_cannot_be_read_is_refused(authenticator: ClientCertificates, other: bytes) -> None:
    uri = GOOD.encode()
    pem = certificate(others=[bytes([0x86, len(uri)]) + uri, other])
    with pytest.raises(QueryEngineError, match="the client certificate cannot be read: ") as refused:
        await authenticator.authenticate(presented(pem))
    assert refused.value.failure.reason is Reason.CREDENTIAL_INVALID


async def test_what_a_call_says_must_agree_with_its_certificate(
    authenticator: ClientCertificates, clock: HandClock
) -> None:
    authentication = Authentication([authenticator], clock)
    pem = certificate(GOOD)
    for key, value, reason in (
        ("x-tenant-id", "other", Reason.TENANT_MISMATCH),
        ("x-user-id", "other", Reason.TENANT_MISMATCH),
        ("authorization", "Bearer x", Reason.CREDENTIAL_INVALID),
    ):
        with pytest.raises(QueryEngineError) as refused:
            await authentication.identify(presented(pem, **{key: value}))
        assert refused.value.failure.reason is reason
    with pytest.raises(QueryEngineError) as refused:
        await authentication.identify(presented(None))
    assert refused.value.failure.reason is Reason.CREDENTIAL_MISSING


async def test_a_certificate_is_read_once(authenticator: ClientCertificates, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = certificate(GOOD)
    first = await authenticator.authenticate(presented(pem))
    monkeypatch.setattr(authenticator, "_read", None)
    assert await authenticator.authenticate(presented(pem)) is first
