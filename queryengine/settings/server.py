"""Settings of a server's addresses, and of how it stops."""

from pydantic import Field, ValidationInfo, field_validator

from queryengine.settings.addresses import checked_address, is_address
from queryengine.settings.group import Group


def _metrics_address(value: str) -> str:
    if value and (value.startswith("unix:") or not is_address(value)):
        raise ValueError("expected host:port, [IPv6 address]:port or nothing")
    return value


class ServerSettings(Group):
    """Where the service listens and how it stops."""

    listen: str = Field(
        default="127.0.0.1:8815",
        description="Address of the gRPC service: host:port; port 0 takes a free one.",
    )
    admin_listen: str = Field(
        default="127.0.0.1:8816",
        description="Address of health checks (gRPC) alone, which load on the service cannot fail.",
    )
    metrics_listen: str = Field(
        default="127.0.0.1:8817",
        description="Address of metrics for Prometheus and of health checks, over HTTP: host:port; empty for none.",
    )
    reflection: bool = Field(default=True, description="Whether clients may ask for the contract (gRPC reflection).")
    drain_seconds: float = Field(
        default=20, ge=0, description="Longest wait for running queries when the server stops."
    )
    watch_seconds: float = Field(
        default=2,
        ge=0,
        description="Between two looks whether the settings file, or one that it names, has changed; they are read "
        "once two looks find the same change. 0: at SIGHUP alone.",
    )

    _check_addresses = field_validator("listen", "admin_listen")(checked_address)
    _check_metrics_address = field_validator("metrics_listen")(_metrics_address)

    @field_validator("admin_listen", "metrics_listen")
    @classmethod
    def _apart(cls, value: str, info: ValidationInfo) -> str:
        for other in ("listen", "admin_listen"):
            if other != info.field_name and value == info.data.get(other) and not value.endswith(":0"):
                raise ValueError(f"expected another address than {other}")
        return value
