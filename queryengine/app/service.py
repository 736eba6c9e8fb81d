"""A whole server in this process: started, read again, stopped."""

from collections.abc import Callable
from contextlib import AsyncExitStack

from queryengine.app import reload, wiring
from queryengine.app.draining import drain
from queryengine.app.wiring import Parts
from queryengine.domain.clock import Clock, SystemClock
from queryengine.settings import Settings
from queryengine.workers.pool import WorkerPool


class Service:
    """`start`, then `stop`; each once."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self._clock = clock or SystemClock()
        self._parts: Parts | None = None
        self._closing: AsyncExitStack | None = None
        """Closes whatever was opened, the last first; None while there is nothing to close."""

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
    def metrics_address(self) -> str:
        """Empty when metrics are not served."""
        return self.parts.edges.metrics_address

    async def start(self) -> None:
        """Open the state, recover what a former process left, start workers, listen.

        Raises StoreLocked and StoreUnusable for the state, PortTaken for an address, SettingsError for an option; what
        had been opened is closed then. Returns when Submit works; workers may still be starting, and queries wait for
        them.
        """
        async with AsyncExitStack() as closing:
            self._parts = await wiring.start(lambda: self.settings, self._clock, closing)
            self._closing = closing.pop_all()

    def reload(self, load: Callable[[], Settings]) -> None:
        """Take over what a running server can of the settings that `load` returns, all of it or, when they are refused,
        nothing. Says in the log what has changed and what waits for a restart. To be called after `start`.
        """
        self.settings = reload.reload(self.parts, self.settings, load)

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
