"""The package as users get it: a wheel, and environments that it is installed in."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT


def copied_sources(folder: Path) -> Path:
    """A checkout to build from, as building leaves folders behind."""
    checkout = folder / "checkout"
    shutil.copytree(ROOT / "queryengine", checkout / "queryengine", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    return checkout


def build_wheel(folder: Path) -> Path:
    """By the build system that is installed here, without the network."""
    offline = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation")
    run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", folder, copied_sources(folder))
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A virtual environment, empty at first. Pip works on it from outside."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Environment":
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        return cls(folder)

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def command(self) -> Path:
        return self.folder / "bin" / "queryengine"

    def pip(self, *words: object) -> str:
        """What pip prints. Raises when it fails."""
        return run(sys.executable, "-m", "pip", "--python", self.python, *words).stdout

    def install(self, *what: object) -> None:
        """From the index that pip is configured for, in the versions of the lock file, which its cache has."""
        self.pip("install", "--quiet", "--no-compile", "--constraint", ROOT / "requirements.lock", *what)

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """The command, outside of the checkout, so that nothing is imported from there."""
        return run(self.command, *words, cwd=self.folder, check=False)

    def code(self, text: str) -> str:
        """What a program prints. Raises when it fails."""
        return run(self.python, "-c", text, cwd=self.folder).stdout


def run(*command: object, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done
