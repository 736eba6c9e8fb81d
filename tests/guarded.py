"""A server that wants tokens of an issuer, a holder of such tokens, and a clock that is put forward."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from queryengine.app.service import Service
from queryengine.domain.clock import SystemClock
from tests.support import Api, served
from tests.unit.jwt_keys import AUDIENCE, ISSUER, RSA, bearer, claims, public_pem, token

LIFE_SECONDS = 300
LEEWAY_SECONDS = 30


class MovableClock(SystemClock):
    """The machine's clock, put forward."""

    def __init__(self) -> None:
        self.ahead_seconds = 0

    def now_us(self) -> int:
        return super().now_us() + self.ahead_seconds * 1_000_000

    @property
    def seconds(self) -> int:
        return self.now_us() // 1_000_000


class Holder(Api):
    """Whoever holds tokens of the issuer."""

    def __init__(self, channel: grpc.aio.Channel, clock: MovableClock, **said: Any) -> None:
        super().__init__(channel, "acme")
        self._clock = clock
        self._said = said
        self.renew()

    def renew(self) -> None:
        """Take a fresh token."""
        now = self._clock.seconds
        self.metadata = bearer(token(claims(now, exp=now + LIFE_SECONDS, **self._said)))


def issuer(folder: Path, **more: Any) -> dict[str, Any]:
    (folder / "public.pem").write_bytes(public_pem(RSA))
    keys = {} if "jwks_url" in more else {"keys": [{"public_key": f"file:{folder / 'public.pem'}"}]}
    return {"type": "jwt", "issuer": ISSUER, "audience": [AUDIENCE], "algorithms": ["RS256"], **keys, **more}


@asynccontextmanager
async def guarded(folder: Path, *authenticators: dict[str, Any]) -> AsyncIterator[tuple[Service, Holder, MovableClock]]:
    """A server that wants tokens, and a holder of them."""
    clock = MovableClock()
    auth = {"authenticators": authenticators or (issuer(folder),)}
    async with served(folder, clock=clock, auth=auth) as (service, api):
        yield service, Holder(api.channel, clock), clock
