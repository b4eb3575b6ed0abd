"""Seccomp: which system calls a worker may make. Filters are data, written by libseccomp.

`generate_filters.py` wrote the blobs; their hashes stand here, so that a damaged or swapped file
is refused instead of loaded.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
from pathlib import Path
from typing import ClassVar, Final

from speceyes_plugins.sandbox.values import SandboxRefusedError

FILTERS: Final = Path(__file__).with_name("filters")
GENERATED_BY: Final = "libseccomp 2.5.4"
SHA256: Final = {
    "x86_64": "bb755abba921d11e823a731916f7721f611f53bd8fa79d94f1e5521884ba7b84",
    "aarch64": "f7cb134496902f0affb5a721a2f8e6d443bcd509f43e76fb0322a45b793af07f",
}
INSTRUCTION_BYTES: Final = 8  # struct sock_filter

PR_GET_SECCOMP: Final = 21
PR_SET_SECCOMP: Final = 22
MODE_FILTER: Final = 2


class _Program(ctypes.Structure):
    _fields_: ClassVar = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def load(architecture: str | None = None) -> bytes:
    """The filter of an architecture (this machine's), checked against its hash.

    Raises:
        SandboxRefusedError: no filter for it, or the file is not the one that was shipped.
    """
    architecture = architecture or platform.machine()
    if architecture not in SHA256:
        known = ", ".join(SHA256)
        raise SandboxRefusedError(
            f"no system-call filter for the architecture '{architecture}' (there are: {known})"
        )
    path = FILTERS / f"{architecture}.bpf"
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise SandboxRefusedError(f"the system-call filter {path.name} cannot be read") from error
    if hashlib.sha256(blob).hexdigest() != SHA256[architecture]:
        raise SandboxRefusedError(
            f"the system-call filter {path.name} is not the one shipped (SHA-256 differs); "
            "install speceyes again"
        )
    return blob


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
