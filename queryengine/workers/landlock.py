"""Landlock: this process can open nothing of the file system but what it names beforehand. Linux 5.13 and newer.

The kernel applies it to the calling thread and to threads started later, so it has to come before any other thread is
there. It cannot be undone. See landlock(7).
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from enum import IntFlag
from pathlib import Path
from typing import Final

CREATE_RULESET: Final = 444
ADD_RULE: Final = 445
RESTRICT_SELF: Final = 446
VERSION_FLAG: Final = 1
RULE_PATH_BENEATH: Final = 1
PR_SET_NO_NEW_PRIVS: Final = 38


class Access(IntFlag):
    """LANDLOCK_ACCESS_FS_*: what may be done below a path."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ: Final = Access.READ_FILE | Access.READ_DIR
STORE: Final = (
    Access.WRITE_FILE
    | Access.READ_DIR
    | Access.REMOVE_DIR
    | Access.REMOVE_FILE
    | Access.MAKE_DIR
    | Access.MAKE_REG
    | Access.TRUNCATE
)
"""Make, write and remove files, but not read one."""

_OF_FILES: Final = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
"""All that a rule for a single file may name."""
_KNOWN_BITS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many of the accesses a kernel of this ABI knows; a newer one knows all."""
_SCOPES_FROM: Final = 6
_SCOPES: Final = 0b11
"""No abstract Unix sockets of others, and no signals to others."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """The kernel's ABI of Landlock; 0 when it has none."""
    found: int = _libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)
    return max(0, found)


def restrict(grants: Iterable[tuple[str, Access]]) -> None:
    """Confine the calling thread to these paths. A path that is not there is left out. Raises OSError."""
    abi = version()
    known = Access((1 << _KNOWN_BITS.get(abi, 16)) - 1)
    scoped = _SCOPES if abi >= _SCOPES_FROM else 0
    attributes = struct.pack("=QQQ", known, 0, scoped)[: 24 if scoped else 8]
    ruleset = _call(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    try:
        for path, access in grants:
            # Such as a WAL that has not been written yet.
            with suppress(FileNotFoundError):
                _grant(ruleset, path, access & known)
        if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def threads() -> int:
    """How many threads this process has; those beside the calling one are not confined by `restrict`."""
    return len(list(Path("/proc/self/task").iterdir()))


def _grant(ruleset: int, path: str, access: Access) -> None:
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - It follows the path as open did.
            access &= _OF_FILES
        _call(ADD_RULE, ruleset, RULE_PATH_BENEATH, struct.pack("=Qi", access, beneath), 0)
    finally:
        # A rule is for an inode, and those of a process in /proc are made anew when nobody holds them.
        if not path.startswith("/proc/self/"):
            os.close(beneath)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {errno.errorcode.get(code, code)}")
    return result
