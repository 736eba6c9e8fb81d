"""Seccomp: system calls that this process gives up. No new sockets, no processes or programs, no look into others.

Sockets and files that are open already go on working. It cannot be undone. See seccomp(2).
"""

import ctypes
import errno
import os
import platform
import struct
from typing import Final

_MODE_FILTER: Final = 1
_FLAG_ALL_THREADS: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

# Classic BPF.
_LOAD_WORD: Final = 0x20
_JUMP_EQUAL: Final = 0x15
_JUMP_AT_LEAST: Final = 0x35
_JUMP_IF_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_NUMBER_OFFSET: Final = 0
_ARCHITECTURE_OFFSET: Final = 4
_FIRST_ARGUMENT_OFFSET: Final = 16
_ALLOW: Final = 0x7FFF0000
_KILL_PROCESS: Final = 0x80000000
_FAIL: Final = 0x00050000 | errno.EACCES
_FAIL_AS_UNKNOWN: Final = 0x00050000 | errno.ENOSYS
_X32_BIT: Final = 0x40000000

_GIVEN_UP: Final = {
    "x86_64": {
        "socket": 41,
        "connect": 42,
        "accept": 43,
        "accept4": 288,
        "bind": 49,
        "listen": 50,
        "fork(2)": 57,
        "vfork(2)": 58,
        "execve": 59,
        "execveat": 322,
        "ptrace": 101,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "kcmp": 312,
        "mount": 165,
        "umount2": 166,
        "pivot_root": 155,
        "chroot": 161,
        "unshare": 272,
        "setns": 308,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
        "init_module": 175,
        "finit_module": 313,
        "delete_module": 176,
        "kexec_load": 246,
        "perf_event_open": 298,
        "bpf": 321,
        "userfaultfd": 323,
        "open_by_handle_at": 304,
    },
    "aarch64": {
        "socket": 198,
        "connect": 203,
        "accept": 202,
        "accept4": 242,
        "bind": 200,
        "listen": 201,
        "execve": 221,
        "execveat": 281,
        "ptrace": 117,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "kcmp": 272,
        "mount": 40,
        "umount2": 39,
        "pivot_root": 41,
        "chroot": 51,
        "unshare": 97,
        "setns": 268,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
        "init_module": 105,
        "finit_module": 273,
        "delete_module": 106,
        "kexec_load": 104,
        "perf_event_open": 241,
        "bpf": 280,
        "userfaultfd": 282,
        "open_by_handle_at": 265,
    },
}
_GIVEN_UP_EVERYWHERE: Final = {
    # An io_uring makes sockets past any filter.
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
}
_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
_CLONE: Final = {"x86_64": 56, "aarch64": 220}
_CLONE3: Final = 435
_CLONE_THREAD: Final = 0x10000
_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def is_known() -> bool:
    """Whether the calls of this machine's architecture are known here."""
    return platform.machine() in _SECCOMP


def restrict() -> None:
    """Give the calls up, in every thread of this process. They then fail with EACCES. Raises OSError."""
    machine = platform.machine()
    libc = ctypes.CDLL(None, use_errno=True)
    code = _filter(machine)
    program = _Program(len(code) // 8, code)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    result = libc.syscall(_SECCOMP[machine], _MODE_FILTER, _FLAG_ALL_THREADS, ctypes.byref(program))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")
    if result > 0:
        raise OSError(errno.EBUSY, f"seccomp: thread {result} has a filter of its own")


def _filter(machine: str) -> bytes:
    numbers = sorted([*_GIVEN_UP[machine].values(), *_GIVEN_UP_EVERYWHERE.values()])
    code = [
        _step(_LOAD_WORD, _ARCHITECTURE_OFFSET),
        _step(_JUMP_EQUAL, _ARCHITECTURES[machine], when_true=1),
        _step(_RETURN, _KILL_PROCESS),
        _step(_LOAD_WORD, _NUMBER_OFFSET),
    ]
    if machine == "x86_64":
        # Each call has a second number there, for programs with short pointers.
        code.append(_step(_JUMP_AT_LEAST, _X32_BIT, when_true=len(numbers) + 5))
    for place, number in enumerate(numbers):
        code.append(_step(_JUMP_EQUAL, number, when_true=len(numbers) - place + 4))
    code += [
        # Threads may start, processes may not. Flags of clone3 are out of sight; without it glibc takes clone.
        _step(_JUMP_EQUAL, _CLONE3, when_true=5),
        _step(_JUMP_EQUAL, _CLONE[machine], when_false=2),
        _step(_LOAD_WORD, _FIRST_ARGUMENT_OFFSET),
        _step(_JUMP_IF_ANY_BIT, _CLONE_THREAD, when_false=1),
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _FAIL),
        _step(_RETURN, _FAIL_AS_UNKNOWN),
    ]
    return b"".join(code)


def _step(operation: int, operand: int, *, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, when_true, when_false, operand)
