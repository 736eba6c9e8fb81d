"""Certificates as the settings name them: of the ports, read again while the server runs, and of clients, by rules."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from queryengine.app.reload import Prepared
from queryengine.domain.clock import Clock
from queryengine.edges.grpc.certificates import CertificateFiles, Certificates, CertificatesUnusable
from queryengine.edges.grpc.tls import Tls
from queryengine.policy.identity.mtls import CertificateRule
from queryengine.policy.identity.name_pattern import NamePattern
from queryengine.settings import Settings, SettingsError
from queryengine.settings.mtls import CertificateRuleSettings
from queryengine.telemetry.metrics import Metrics


def certificates(settings: Settings, clock: Clock) -> Certificates | None:
    """None without TLS. Raises SettingsError for files that cannot be used, or that hold what has expired."""
    chosen = settings.tls
    if chosen.certificate is None or chosen.key is None:
        return None
    files = CertificateFiles(certificate=chosen.certificate, key=chosen.key, client_ca=chosen.client_ca)
    try:
        return Certificates.read(files, dt.datetime.fromtimestamp(clock.now_us() / 1e6, dt.UTC))
    except CertificatesUnusable as cause:
        raise SettingsError(f"{settings.origin('tls', cause.key)}: tls.{cause.key}: {cause}") from cause


def tls(settings: Settings, clock: Clock, metrics: Metrics) -> Tls | None:
    """None for plain text. Raises SettingsError as `certificates`."""
    found = certificates(settings, clock)
    return None if found is None else Tls(found, metrics)


class CertificatesOfPorts:
    """Takes over certificates that were renewed; see `Reloadable`."""

    def __init__(self, tls: Tls, clock: Clock) -> None:
        self._tls = tls
        self._clock = clock

    def files(self, settings: Settings) -> Iterator[Path]:
        chosen = settings.tls
        return (path for path in (chosen.certificate, chosen.key, chosen.client_ca) if path is not None)

    async def prepare(self, settings: Settings) -> Prepared:
        found = await asyncio.to_thread(certificates, settings, self._clock)
        if found is None:
            # Whether there is TLS at all waits for a restart.
            return Prepared(commit=lambda: None)
        changed = ("the certificate of tls",) if found != self._tls.current else ()
        return Prepared(commit=lambda: self._tls.show(found), changed=changed)


def certificate_rule(settings: CertificateRuleSettings) -> CertificateRule:
    return CertificateRule(
        uri=NamePattern(settings.uri) if settings.uri else None,
        common_name=NamePattern(settings.common_name) if settings.common_name else None,
        tenant=settings.tenant,
        subject=settings.subject,
        roles=frozenset(settings.roles),
    )
