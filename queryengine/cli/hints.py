"""Commands that the reader may paste: they reach the same server, as the same tenant and user."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from queryengine.cli import options
from queryengine.client import Connection


def command(connection: Connection, *words: str) -> str:
    """This command of the program, with the options that it needs: those that the environment and the defaults do
    not give it anyway.
    """
    shared = (
        ("--server", connection.target, options.SERVER_VARIABLE, options.DEFAULT_SERVER),
        ("--tenant", connection.tenant, options.TENANT_VARIABLE, options.DEFAULT_TENANT),
        ("--user", connection.user, options.USER_VARIABLE, ""),
    )
    needed = [
        word
        for option, value, variable, default in shared
        if value != (os.environ.get(variable) or default)
        for word in (option, value)
    ]
    return shlex.join([program(), *words, *needed])


def program() -> str:
    """As it was called, because the folder of a virtual environment need not be on the PATH."""
    called = sys.argv[0]
    return called if Path(called).name == "queryengine" and not shutil.which("queryengine") else "queryengine"
