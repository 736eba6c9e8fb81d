"""Where the settings of a running server come from, to load them again."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from queryengine.settings.loading import load_again
from queryengine.settings.model import Settings
from queryengine.settings.secret import secret_files


@dataclass(frozen=True, slots=True)
class Source:
    """A file, or the environment alone."""

    path: Path | None

    def load(self) -> Settings:
        """Raises SettingsError that names every mistake; a file without keys is one."""
        return load_again(None if self.path is None else str(self.path))

    def files(self, settings: Settings) -> Iterator[Path]:
        """Every file that these settings were read from, those of secrets too."""
        if self.path is not None:
            yield self.path.absolute()
        yield from secret_files(settings)
