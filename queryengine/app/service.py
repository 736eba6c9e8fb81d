"""A whole server in this process: started, read again, stopped."""

from contextlib import AsyncExitStack

from queryengine.app import wiring
from queryengine.app.draining import drain
from queryengine.app.exposure import Exposure
from queryengine.app.reload import SettingsInForce
from queryengine.app.wiring import Parts
from queryengine.domain.clock import Clock, SystemClock
from queryengine.domain.reloads import ReloadStatus, Trigger
from queryengine.settings import Settings, Source
from queryengine.workers.pool import WorkerPool


class Service:
    """`start`, then `stop`; each once."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        source: Source | None = None,
        *,
        insecure: bool = False,
    ) -> None:
        """`source` is where the settings came from, for a server that can load them again. `insecure` accepts callers
        of other hosts without authentication.
        """
        self._exposure = Exposure(is_accepted=insecure)
        self._in_force = SettingsInForce(settings)
        self._source = source
        self._clock = clock or SystemClock()
        self._parts: Parts | None = None
        self._closing: AsyncExitStack | None = None
        """Closes whatever was opened, the last first; None while there is nothing to close."""

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self._in_force.now

    @property
    def parts(self) -> Parts:
        """Of a server that has started. Raises RuntimeError before."""
        if self._parts is None:
            raise RuntimeError("the server has not started")
        return self._parts

    @property
    def pool(self) -> WorkerPool:
        return self.parts.execution.pool

    @property
    def address(self) -> str:
        """Where calls are answered, with the port that was free."""
        return self.parts.edges.address

    @property
    def admin_address(self) -> str:
        return self.parts.edges.admin_address

    @property
    def mutual_address(self) -> str:
        """Where certificates of clients are required while `address` asks for none; empty without such a place."""
        return self.parts.edges.mutual_address

    @property
    def metrics_address(self) -> str:
        """Empty when metrics are not served."""
        return self.parts.edges.metrics_address

    async def start(self) -> None:
        """Open the state, recover what a former process left, start workers, listen.

        Raises StoreLocked and StoreUnusable for the state, PortTaken for an address, SettingsError for an option and
        for an address that other hosts reach without authentication; what had been opened is closed then. Returns
        when Submit works; workers may still be starting, and queries wait for them.
        """
        self._exposure.check(self.settings)
        async with AsyncExitStack() as closing:
            self._parts = await wiring.start(self._in_force, self._exposure, self._clock, self._source, closing)
            self._closing = closing.pop_all()

    def ask_to_reload(self, trigger: Trigger) -> None:
        """Load the settings again, soon. To be called after `start`."""
        self.parts.reloading.ask(trigger)

    async def reload(self, trigger: Trigger) -> ReloadStatus:
        """Load the settings again; see `Reloading`. To be called after `start`."""
        return await self.parts.reloading.reload(trigger)

    async def stop(self, drain_seconds: float | None = None) -> None:
        """Drain, then stop: no new work; streams rotate; running queries get their time; what is left is put back or
        failed as retryable; then everything is closed. Does nothing for a server that did not start. Idempotent.
        """
        limit = self.settings.server.drain_seconds if drain_seconds is None else drain_seconds
        closing, self._closing = self._closing, None
        if closing is not None:
            async with closing:
                await drain(
                    self.parts, limit_seconds=limit, cancel_grace_seconds=self.settings.limits.cancel_grace_seconds
                )
