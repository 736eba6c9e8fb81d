"""Refuses settings with which a server would take callers of other hosts for whoever they claim to be."""

from collections.abc import Iterable
from pathlib import Path

from queryengine.app.reload import Prepared
from queryengine.settings import Settings, SettingsError, exposed


class Exposure:
    """At the start, and whenever settings are loaded again; see `Reloadable`."""

    def __init__(self, *, is_accepted: bool) -> None:
        """`is_accepted` by `serve --insecure`."""
        self._is_accepted = is_accepted

    def check(self, settings: Settings) -> None:
        """Raises SettingsError."""
        problem = exposed(settings)
        if problem and not self._is_accepted:
            raise SettingsError(problem)

    def files(self, settings: Settings) -> Iterable[Path]:  # noqa: ARG002 - The signature is the protocol's.
        return ()

    async def prepare(self, settings: Settings) -> Prepared:
        self.check(settings)
        return Prepared(commit=lambda: None)
