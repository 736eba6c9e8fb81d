"""What a quickstart needs on the machine, and where its builds are kept: outside the repository, for the next run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.servers.cache import cache_folder, made_once

GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4"
DEBIAN_NAME = "grpc_java_plugin"
"""protoc-gen-grpc-java, as Debian calls it."""


@dataclass(frozen=True)
class Toolchain:
    """Programs that must be on PATH, each with its other names."""

    programs: tuple[tuple[str, ...], ...] = ()

    def missing(self) -> str:
        """Which programs are not there; empty when all are."""
        absent = [" or ".join(names) for names in self.programs if not any(map(shutil.which, names))]
        return f"no {', no '.join(absent)} on PATH" if absent else ""


TOOLCHAINS: Mapping[str, Toolchain] = MappingProxyType(
    {
        "python": Toolchain(),
        "go": Toolchain((("go",),)),
        "typescript": Toolchain((("node",), ("npm",))),
        "java": Toolchain((("java",), ("mvn",), ("protoc-gen-grpc-java", DEBIAN_NAME))),
        "rust": Toolchain((("cargo",),)),
        "grpcurl": Toolchain((("grpcurl", "go"),)),
    }
)
"""By page of docs/clients."""


def compilers(folder: Path) -> Path:
    """A folder for PATH with buf and protoc of this environment, and nothing else of it."""
    folder.mkdir()
    for name in ("buf", "protoc"):
        (folder / name).symlink_to(Path(sys.executable).parent / name)
    return folder


def grpcurl() -> Path:
    """The folder of a grpcurl: that of the machine, else one built once. Raises when it cannot be built."""
    found = shutil.which("grpcurl")
    return Path(found).parent if found else made_once("grpcurl-1.9.4", _build_grpcurl)


def _build_grpcurl(folder: Path) -> None:
    subprocess.run(["go", "install", GRPCURL], env={**os.environ, "GOBIN": str(folder)}, check=True)


def builds() -> dict[str, str]:
    """Variables that keep what takes long to build in the cache folder."""
    return {"CARGO_TARGET_DIR": str(cache_folder() / "clients" / "cargo")}
