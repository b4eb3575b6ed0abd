"""Landlock: which files a worker may touch, enforced by the kernel.

Three system calls, stable since Linux 5.13, with the same numbers on every architecture
(linux/landlock.h, Documentation/userspace-api/landlock.rst).
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from typing import ClassVar, Final

CREATE_RULESET: Final = 444
ADD_RULE: Final = 445
RESTRICT_SELF: Final = 446
VERSION_FLAG: Final = 1
PATH_BENEATH: Final = 1

WRITE_FILE: Final = 1 << 1
READ_FILE: Final = 1 << 2
READ_DIR: Final = 1 << 3
REMOVE_DIR: Final = 1 << 4
REMOVE_FILE: Final = 1 << 5
MAKE_DIR: Final = 1 << 7
MAKE_REG: Final = 1 << 8
TRUNCATE: Final = 1 << 14

READ: Final = READ_FILE | READ_DIR
CHANGE: Final = WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE

# By ABI: file rights 1-12 (execute, sockets, symlinks, devices, …), then refer, truncate, ioctl.
FILE_RIGHTS: Final = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 4: 1 << 15, 5: 1 << 16}
NETWORK_ABI: Final = 4
NETWORK_RIGHTS: Final = 0b11  # bind and connect, TCP
SCOPE_ABI: Final = 6
SCOPES: Final = 0b11  # abstract unix sockets and signals stay inside


class _Ruleset(ctypes.Structure):
    _fields_: ClassVar = [
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_: ClassVar = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    result: int = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def version() -> int:
    """The kernel's Landlock ABI; 0 where Landlock is missing or switched off."""
    try:
        return _call(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION_FLAG))
    except OSError:
        return 0


def restrict(reads: Iterable[str], files: Iterable[str], folder: str | None) -> None:
    """Leave this thread only these: folders to read, files to read, one folder to work in.

    Irrevocable, and inherited by whatever the thread starts. Needs no_new_privs. Paths that do
    not exist are left out; they cannot be reached either.

    Raises:
        OSError: the kernel refused a step.
    """
    abi = version()
    if not abi:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    handled = FILE_RIGHTS[min(abi, max(FILE_RIGHTS))] - 1
    ruleset = _Ruleset(
        handled,
        NETWORK_RIGHTS if abi >= NETWORK_ABI else 0,
        SCOPES if abi >= SCOPE_ABI else 0,
    )
    # An older kernel knows a shorter structure, and accepts a longer one whose rest is zero.
    descriptor = _call(
        CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(ctypes.sizeof(ruleset)), 0
    )
    try:
        for path in reads:
            _allow(descriptor, path, READ)
        for path in files:
            _allow(descriptor, path, READ_FILE)
        if folder is not None:
            _allow(descriptor, folder, (READ | CHANGE) & handled)
        _call(RESTRICT_SELF, descriptor, ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rule = _PathBeneath(rights, parent)
        _call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(parent)
