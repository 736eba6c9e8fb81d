"""Commands that the reader may paste: they reach the same server, as the same tenant and user."""

import shlex
import shutil
import sys
from pathlib import Path

from queryengine.cli.clientconfig import SETTINGS, ClientConfig


def command(config: ClientConfig, *words: str) -> str:
    """This command of the program, with the options of this one that say which server to call and as whom; what the
    environment and the file say holds for it anyway. The values of headers are left out, as they may be secrets.
    """
    needed: list[str] = []
    for setting in SETTINGS:
        if config.origins.get(setting.key) != setting.flag:
            continue
        value = getattr(config, setting.key)
        if setting.key == "headers":
            needed += [word for name, _ in value for word in (setting.flag, f"{name}: …")]
        elif isinstance(value, bool):
            needed.append(setting.flag if value else f"--no-{setting.key}")
        else:
            needed += [setting.flag, str(value)]
    return shlex.join([program(), *words, *needed])


def program() -> str:
    """As it was called, because the folder of a virtual environment need not be on the PATH."""
    called = sys.argv[0]
    return called if Path(called).name == "queryengine" and not shutil.which("queryengine") else "queryengine"
