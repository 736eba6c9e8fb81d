"""What queries that ended have used, as it is kept after their records are gone."""

from dataclasses import dataclass
from typing import Final

HOUR_US: Final = 3600 * 1_000_000
DAY_HOURS: Final = 24
DAY_US: Final = DAY_HOURS * HOUR_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumption:
    """Of the queries of one tenant, subject and engine that ended on one day, or since an hour."""

    tenant: str
    subject: str
    engine: str
    api_key: str = ""
    """Label of the key that they came with; empty without one, and where all keys are added up."""
    hour: int
    """Hours from 1970 UTC to the beginning of the time."""
    queries: int
    failed: int
    cancelled: int
    cache_hits: int
    engine_us: int
    """From the start of the last run of each query to its end."""
    rows: int
    bytes_stored: int
    bytes_scanned: int
    bytes_scanned_hidden: int
    """Of those, the ones of queries under row policies: no caller in the tenant is shown these."""
