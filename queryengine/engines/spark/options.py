"""The options of a configured Spark engine."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

_PORT: Final = 15002
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_MIB: Final = 1 << 20

SESSION_SETTINGS: Final = (
    "spark.sql.adaptive.enabled",
    "spark.sql.ansi.enabled",
    "spark.sql.autoBroadcastJoinThreshold",
    "spark.sql.broadcastTimeout",
    "spark.sql.caseSensitive",
    "spark.sql.files.maxPartitionBytes",
    "spark.sql.session.timeZone",
    "spark.sql.shuffle.partitions",
)
"""What a statement may set: how Spark reads and computes, and nothing that lets a query out of its tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkOptions:
    url: str = ""
    """Of the Spark Connect server, as in sc://spark.example:15002, or with ;use_ssl=true."""
    token: str = field(default="", repr=False)
    """Sent as bearer token; only over TLS, or to this machine."""
    user: str = "queryengine"
    """Whose sessions these are in Spark's own lists."""
    use_ssl: bool = False
    connect_timeout_seconds: float = 10.0
    result_rows_max: int = 0
    """0 is no limit."""
    result_bytes_max: int = 1024 * _MIB
    """Of a result as Arrow; what is not staged lies in the driver's memory until it is read. 0 is no limit, and the
    default with staging.
    """
    staging: str = ""
    """A folder or URI that Spark and the worker both reach. Results are written there as Parquet and read from it, so
    that they need no memory of the driver. Empty: results come through the driver.
    """
    keep_sessions: bool = False
    """Whether a session serves further executions. That is faster, but a session remembers the files of the tables
    that it has read: rows that others add are not seen, and files that others remove are missed.
    """
    web_url: str = ""
    """Of Spark's web pages, for links."""

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> "SparkOptions":
        """Raises ValueError that names the key of a wrong option, without a token in the text."""
        kinds = {each.name: each.type for each in fields(cls)}
        for key in options:
            if key not in kinds:
                raise ValueError(f"unknown option {key!r} for a spark engine; known: {', '.join(kinds)}")
        for key, value in options.items():
            _check(key, value, kinds[key])
        # A staged result is in nobody's memory.
        made = cls(**{"result_bytes_max": 0, **options} if options.get("staging") else options)
        made.endpoint()
        return made

    def endpoint(self) -> "Endpoint":
        example = "sc://host:15002 or sc://host:15002/;use_ssl=true"
        if not self.url:
            raise ValueError(f"option 'url' is missing: the address of Spark Connect, as in {example}")
        form = f"option 'url' must be like {example}"
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port or _PORT
            path, _, tail = parts.path.partition(";")
            pairs = dict(parse_qsl(tail, separator=";", strict_parsing=True)) if tail else {}
        except ValueError:
            raise ValueError(form) from None
        if parts.scheme != "sc" or not host or path not in ("", "/") or parts.username or parts.query:
            raise ValueError(form)
        token = pairs.pop("token", "") or self.token
        user = pairs.pop("user_id", "") or self.user
        is_secure = self.use_ssl or pairs.pop("use_ssl", "").lower() == "true"
        if token and not is_secure and host not in _LOOPBACK:
            raise ValueError("option 'token' needs use_ssl: it is not sent in the clear to another machine")
        name = f"[{host}]" if ":" in host else host
        return Endpoint(f"{name}:{port}", token, user, is_secure, tuple(pairs.items()))


@dataclass(frozen=True, slots=True)
class Endpoint:
    target: str
    token: str = field(repr=False)
    user: str
    use_ssl: bool
    headers: tuple[tuple[str, str], ...]
    """What else the URL named; sent with each call, as Spark's own client does."""


def _check(key: str, value: Any, kind: Any) -> None:
    if kind is str and not isinstance(value, str):
        raise ValueError(f"option {key!r} must be a text")
    if kind is bool and not isinstance(value, bool):
        raise ValueError(f"option {key!r} must be true or false")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and not (is_number and math.isfinite(value) and value > 0):
        raise ValueError(f"option {key!r} must be a number above 0")
    if kind is int and not (isinstance(value, int) and is_number and value >= 0):
        raise ValueError(f"option {key!r} must be a whole number, 0 or more")
