"""Seccomp: which system calls a worker may make. Filters are data, written by libseccomp."""

from __future__ import annotations

import ctypes
import os
from typing import ClassVar, Final

INSTRUCTION_BYTES: Final = 8  # struct sock_filter

PR_GET_SECCOMP: Final = 21
PR_SET_SECCOMP: Final = 22
MODE_FILTER: Final = 2


class _Program(ctypes.Structure):
    _fields_: ClassVar = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def available() -> bool:
    """Whether the kernel can filter system calls at all."""
    return bool(ctypes.CDLL(None, use_errno=True).prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0)


def install(blob: bytes) -> None:
    """Filter this thread's system calls from now on. Irrevocable; needs no_new_privs.

    Raises:
        OSError: the kernel refused the filter.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(blob, len(blob))
    program = _Program(len(blob) // INSTRUCTION_BYTES, ctypes.addressof(buffer))
    if libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
