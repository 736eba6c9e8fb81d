"""The keys of stored results: `<tenant hash>/<query id>/<attempt>/00000.seg`. Only this package makes or reads them.

A result is addressed by its tenant and its name, the result id. Its key is what the keys of its segments begin with.
"""

import hashlib
import re
from typing import Final

_NAME: Final = re.compile(r"[0-9A-Za-z_-]{1,64}(\.[0-9A-Za-z_-]{1,64})?")


def tenant_hash(tenant: str) -> str:
    """What all keys of a tenant begin with: of a fixed length, and free of whatever the tenant's name holds."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:24]


def result_key(tenant: str, name: str) -> str:
    """The key of a result. Raises ValueError for a result id that could name anything but a place of its own."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the id of a result")
    return f"{tenant_hash(tenant)}/{name.replace('.', '/')}"


def query_key(tenant: str, query_id: str) -> str:
    """What the keys of all results begin with that attempts of a query wrote."""
    return f"{tenant_hash(tenant)}/{query_id}"


def segment_key(result: str, segment: int) -> str:
    """The key of a segment, by the key of its result."""
    return f"{result}/{segment:05d}.seg"


def result_of(key: str) -> str:
    """The key of the result that a segment belongs to."""
    return key.rpartition("/")[0]


def name_of(result: str) -> tuple[str, str]:
    """The tenant's hash and the result id that make the key of a result."""
    tenant, _, name = result.partition("/")
    return tenant, name.replace("/", ".")
