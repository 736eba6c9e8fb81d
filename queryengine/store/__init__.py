"""The durable record of queries: what was acknowledged is on disk, and a state changes only by compare-and-
set.
"""

from queryengine.store.database import StoreLocked, StoreUnusable
from queryengine.store.steps import Dropped
from queryengine.store.store import Store

__all__ = ["Dropped", "Store", "StoreLocked", "StoreUnusable"]
