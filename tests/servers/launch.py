"""Command lines that run a program as another user, or bound to the process that starts it.

Both need steps between fork and exec. `preexec_fn` and `user` of subprocess would fork this process with gRPC's
handlers in it, which crash where gRPC has threads; so a second Python, which is spawned, takes the steps and becomes
the program.
"""

import os
import pwd
import sys
from typing import Final

_BECOME: Final = """
import ctypes, os, signal, sys
_, parent, uid, gid, *command = sys.argv
if uid:
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
if parent:
    PR_SET_PDEATHSIG = 1
    # After the change of user, which would clear it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("its parent has ended")
os.execvp(command[0], command)
"""


def prefix(user: pwd.struct_passwd | None = None, *, bound: bool = False) -> list[str]:
    """What stands before a command so that it runs as `user`, and with `bound` is killed when this process ends,
    whatever ends it. The thread that starts it counts as the process: start bound programs in the main thread.
    """
    identity = (str(user.pw_uid), str(user.pw_gid)) if user else ("", "")
    return [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid()) if bound else "", *identity]
