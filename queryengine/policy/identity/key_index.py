"""The API keys that work, in memory: what the record has, and whatever changes there.

A change by this server is followed before the call that made it is answered, one by another server at the next look.
When the record cannot be read for 5 seconds, no key is accepted any more, since it may have been revoked.
"""

import asyncio
import heapq
import logging
from collections.abc import Sequence
from ipaddress import ip_network
from sys import intern
from typing import Any, Final, cast

from queryengine.domain.clock import Clock
from queryengine.domain.errors import QueryEngineError
from queryengine.domain.identity import Principal, Role
from queryengine.live.tasks import Tasks
from queryengine.policy.identity.peers import Network
from queryengine.store.keys import KeyStore, words

LOOK_SECONDS: Final = 1.0
"""Between two looks for changes."""
FOLLOWED_SECONDS: Final = 4.0
"""For so long after the last look that worked, and for one more that may fail, the keys that it found are accepted."""
CHUNK: Final = 5_000
"""Keys in one read of the record."""
USE_US: Final = 60 * 1_000_000
"""How exact the time of the last use is."""
NOTE_SECONDS: Final = 10.0
"""Between two writes of these times."""
NOTED: Final = 1_000
"""Keys in one such write; others wait for the next one."""
EXPIRED: Final = 1_000
"""Expired keys that one look forgets."""

logger = logging.getLogger(__name__)

_Row = tuple[str, str, str, str, str, int | None, str]
"""A key that nobody has used yet: id, tenant, subject, roles, cidrs, end, label. Plain values, of which the garbage
collector keeps no account; with 100,000 keys that counts.
"""


class Key:
    """A key in use."""

    __slots__ = ("end_us", "networks", "principal", "used_us")

    def __init__(self, row: _Row) -> None:
        key_id, tenant, subject, roles, cidrs, self.end_us, label = row
        self.networks: Sequence[Network] = [ip_network(cidr) for cidr in words(cidrs)]
        """That it works from; empty for all."""
        self.used_us = 0
        self.principal = Principal(
            tenant=tenant,
            subject=subject,
            roles=frozenset(Role(word) for word in words(roles)),
            authenticator="api_key",
            credential_id=key_id,
            api_key=label,
            expires_us=self.end_us,
        )


class KeyIndex:
    """Follows the record from `begin` on; until then it has no key. `close` before the record is closed."""

    def __init__(self, store: KeyStore, clock: Clock, tasks: Tasks) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._has_begun = False
        self._keys: dict[bytes, _Row | Key] = {}
        self._hashes: dict[str, bytes] = {}
        """By the ids of the keys."""
        self._expiring: list[tuple[int, bytes]] = []
        """A heap of when keys end. A key that ended otherwise is in it still."""
        self._seen = 0
        """The number of the last change that was followed."""
        self._looked = float("-inf")
        """When the last look began that worked."""
        self._used_us: dict[str, int] = {}
        """Uses to be written, by the ids of the keys."""
        self._one_look = asyncio.Lock()
        self.is_followed = False
        """Whether what is here is as new as it must be."""

    def __len__(self) -> int:
        return len(self._keys)

    async def begin(self) -> None:
        """Read all keys, and follow them from now on. Idempotent. Raises STORE_UNAVAILABLE."""
        if not self._has_begun:
            await self.look()
            self._has_begun = True
            self._tasks.spawn(self._follow(), "api-keys")

    def find(self, secret_hash: bytes) -> Key | None:
        """The key with that hash, if it works now."""
        found = self._keys.get(secret_hash)
        if found is None:
            return None
        if not isinstance(found, Key):
            found = self._keys[secret_hash] = Key(found)
        if found.end_us is not None and self._clock.now_us() >= found.end_us:
            return None
        return found

    def holds(self, key_id: str) -> bool:
        return key_id in self._hashes

    def note_use(self, key: Key) -> None:
        """Take note that a key is used now; it is written later."""
        now_us = self._clock.now_us()
        if now_us - key.used_us >= USE_US:
            key.used_us = now_us
            self._used_us[key.principal.credential_id] = now_us

    async def look(self) -> None:
        """Follow what has changed until now. Raises STORE_UNAVAILABLE, and has then followed a part of it."""
        async with self._one_look:
            began = self._clock.monotonic()
            while rows := await self._store.changed(self._seen, CHUNK):
                for row in rows:
                    self._adopt(row)
                if len(rows) < CHUNK:
                    break
            self._looked = began
            self.is_followed = True
        self._forget_expired()

    async def follow_now(self) -> None:
        """Follow what this server has changed. Raises STORE_UNAVAILABLE."""
        if self._has_begun:
            await self.look()

    async def _follow(self) -> None:
        """Look again and again, whatever fails."""
        noted = self._clock.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look_in_time()
            if self._clock.monotonic() - noted >= NOTE_SECONDS:
                noted = self._clock.monotonic()
                await self.write_uses()

    async def look_in_time(self) -> None:
        """Look once more, and know afterwards whether what is here is as new as it must be."""
        left = self._looked + FOLLOWED_SECONDS - self._clock.monotonic()
        try:
            # Not shorter: after a pause of the process nothing is wrong yet.
            async with asyncio.timeout(max(LOOK_SECONDS, left)):
                await self.look()
        except (QueryEngineError, TimeoutError) as cause:
            if self._clock.monotonic() - self._looked >= FOLLOWED_SECONDS and self.is_followed:
                self.is_followed = False
                reason = str(cause) or "the record of them does not answer"
                # In one line, without a traceback.
                logger.log(logging.ERROR, "no API key is accepted: %s", reason)

    async def write_uses(self) -> None:
        """Write when keys were last used. A failure loses nothing but these times."""
        some = dict(list(self._used_us.items())[:NOTED])
        if not some:
            return
        for key_id in some:
            del self._used_us[key_id]
        try:
            await self._store.note_uses(some)
        except QueryEngineError as cause:
            logger.warning("the last use of %d API keys is not written: %s", len(some), cause)

    async def close(self) -> None:
        """Write what is left to write."""
        while self._used_us:
            await self.write_uses()

    def _adopt(self, row: tuple[Any, ...]) -> None:
        change, secret_hash, key_id, tenant, subject, roles, cidrs, end_us, label = row
        self._seen = change
        before = self._keys.pop(secret_hash, None)
        self._hashes.pop(key_id, None)
        if end_us is not None and end_us <= self._clock.now_us():
            return
        # Few texts for many keys.
        texts = tuple(map(intern, (tenant, subject, roles, cidrs)))
        found: _Row | Key = (key_id, *texts, end_us, intern(label))
        if isinstance(before, Key):
            used_us = before.used_us
            found = Key(cast(_Row, found))
            found.used_us = used_us
        self._keys[secret_hash] = found
        self._hashes[key_id] = secret_hash
        if end_us is not None:
            heapq.heappush(self._expiring, (end_us, secret_hash))

    def _forget_expired(self) -> None:
        now_us = self._clock.now_us()
        for _ in range(EXPIRED):
            if not self._expiring or self._expiring[0][0] > now_us:
                return
            end_us, secret_hash = heapq.heappop(self._expiring)
            found = self._keys.get(secret_hash)
            if found is not None and _id_and_end(found)[1] == end_us:
                del self._keys[secret_hash]
                del self._hashes[_id_and_end(found)[0]]


def _id_and_end(key: _Row | Key) -> tuple[str, int | None]:
    return (key.principal.credential_id, key.end_us) if isinstance(key, Key) else (key[0], key[5])
