"""Consumers in other languages: a small program in each, built once in the cache, that reads a folder of pages."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.servers.cache import cache_folder

HERE: Final = Path(__file__).parent
BUILD_SECONDS: Final = 1800
"""A first build fetches and compiles everything that the program needs."""
READ_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Toolchain:
    folder: str
    needs: tuple[str, ...]
    """Commands; without one of them the consumer is skipped."""
    build: tuple[str, ...]
    run: tuple[str, ...]
    """The folder of pages comes behind it."""

    def missing(self) -> str:
        """The first command that is not on this machine; empty when all are."""
        return next((each for each in self.needs if shutil.which(each) is None), "")

    def lines(self, pages: Path) -> dict[str, str]:
        """What the program writes of each page, by the page's name. Raises CalledProcessError with its words."""
        work = cache_folder() / "compat" / self.folder
        shutil.copytree(HERE / self.folder, work, dirs_exist_ok=True)
        subprocess.run(self.build, cwd=work, check=True, timeout=BUILD_SECONDS, stdout=subprocess.DEVNULL)
        command = (*self.run, str(pages.resolve()))
        done = subprocess.run(
            command, cwd=work, check=True, timeout=READ_SECONDS, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        # Not splitlines: a text may hold other line ends than the one that ends a line here.
        pairs = (line.partition("\t") for line in done.stdout.decode().split("\n") if line)
        return {name: rest for name, _, rest in pairs}


JAVA: Final = (
    "java",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "-cp",
    "target/read-pages-1.jar:target/dependency/*",
)
TOOLCHAINS: Final[Mapping[str, Toolchain]] = MappingProxyType(
    {
        "arrow-js": Toolchain(
            "js", ("node", "npm"), ("npm", "install", "--silent", "--no-package-lock"), ("node", "read.mjs")
        ),
        "arrow-go": Toolchain("go", ("go",), ("go", "build", "-o", "read", "."), ("./read",)),
        "arrow-java": Toolchain("java", ("java", "mvn"), ("mvn", "-q", "-B", "package"), (*JAVA, "compat.ReadPages")),
        "arrow-rs": Toolchain("rust", ("cargo",), ("cargo", "build", "-q"), ("target/debug/read-pages",)),
    }
)
