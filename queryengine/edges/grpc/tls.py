"""TLS of the ports: every new connection is shown the newest certificate."""

import logging

import grpc

from queryengine.edges.grpc.certificates import Certificates
from queryengine.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)


class Tls:
    """The certificates in force."""

    def __init__(self, certificates: Certificates, metrics: Metrics) -> None:
        self._metrics = metrics
        self._current = certificates
        metrics.certificate_ends(certificates.not_after.timestamp())

    @property
    def current(self) -> Certificates:
        return self._current

    def show(self, certificates: Certificates) -> None:
        """Use these for new connections. Those that are open stay as they are, and so do their calls."""
        if certificates == self._current:
            return
        self._current = certificates
        self._metrics.certificate_ends(certificates.not_after.timestamp())
        logger.info(
            "new connections are shown the certificate of %s, valid until %s UTC",
            certificates.subject,
            certificates.not_after.strftime("%F %T"),
        )

    def credentials(self, *, client_certificates: bool) -> grpc.ServerCredentials:
        """For one port, which asks for certificates of clients or does not."""
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._current),
            _Newest(self),  # type: ignore[arg-type] # The stubs do not know that None stands for no change.
            require_client_authentication=client_certificates,
        )


class _Newest:
    """What gRPC calls before each handshake of a port, in a thread of its own: it must neither wait nor read files."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._shown = tls.current

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """None for no change."""
        current = self._tls.current
        if current is self._shown:
            return None
        self._shown = current
        return _configuration(current)


def _configuration(certificates: Certificates) -> grpc.ServerCertificateConfiguration:
    """A new one each time, as gRPC takes each for one use."""
    pair = (certificates.key, certificates.chain)
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=certificates.client_ca)
